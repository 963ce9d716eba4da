"""From what a handler returned to a message: plain JSON, whatever numbers it was made of."""

from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from handlers.contract import DatasetProfile, Result

from .messages import Finished
from .reporting import printable

_PROFILE = TypeAdapter(DatasetProfile)


def as_finished(result: Result) -> Finished:
    """The message about a job that came to its end.

    Raises:
        TypeError: the handler returned something else, or a result that JSON cannot hold.
    """
    if not isinstance(result, Result):
        raise TypeError(f"a handler returns handlers.contract.Result, not {type(result).__name__}")
    return Finished(
        summary=printable(result.summary),
        model=result.model and result.model.model_dump(mode="json", fallback=_plain),
        explanation=result.explanation and result.explanation.model_dump(mode="json", fallback=_plain),
        profile=result.profile and _PROFILE.dump_python(result.profile, mode="json", fallback=_plain),
        record=to_jsonable_python(result.record, fallback=_plain),
    )


def _plain(value: Any) -> Any:
    """A number or an array of numpy or torch as Python's own; they share these method names."""
    for method in ("tolist", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"a result holds a {type(value).__name__}, which is no JSON")
