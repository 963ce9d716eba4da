"""From an exception to a reason code and a sentence: what a person reads names no value of a cell.

Messages of foreign exceptions often quote data («could not convert string to float: …»), so only their type and
their place in the code are told; the traceback goes to the job's log.
"""

import traceback
from pathlib import Path

from pydantic import ValidationError

from events.errors import OmniScopeError, ReasonCode

from .full_disks import disk_ran_full
from .messages import Failed
from .reporting import printable

_LONGEST_DETAIL = 20_000


def as_failed(error: BaseException, out_dir: Path | None = None) -> Failed:
    """The message about a job that ended with `error`, having written into `out_dir`."""
    reason, message = _reason(error)
    full = reason is not ReasonCode.OUT_OF_MEMORY and disk_ran_full(error, out_dir)
    if full:
        reason, message = ReasonCode.HANDLER_ERROR, "no space is left on the worker's disk: free some there"
    detail = "".join(traceback.format_exception(error))
    return Failed(
        reason=reason.value,
        message=printable(message),
        detail=printable(detail)[-_LONGEST_DETAIL:],
        infrastructure=full,
    )


def refuse_import(name: str, error: ImportError | AttributeError) -> OmniScopeError:
    """The handler cannot be had here. Says what is missing."""
    missing = f"the module {error.name!r} is missing" if isinstance(error, ImportError) else "it is not there"
    return OmniScopeError(
        ReasonCode.KIND_UNAVAILABLE,
        f"this worker cannot run {name}: {missing}; install the worker with all it needs, omniscope-ml[worker]",
    )


def refuse_request(error: ValidationError) -> OmniScopeError:
    """The request does not fit its model. It was checked before it came here, so this is a second look."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(map(str, first["loc"])) or "the request"
    return OmniScopeError(ReasonCode.INVALID_FIELD, f"data.{field}: {first['msg']}")


def _reason(error: BaseException) -> tuple[ReasonCode, str]:
    if isinstance(error, OmniScopeError):
        return ReasonCode(error.reason), error.message
    if _is_out_of_memory(error):
        return (
            ReasonCode.OUT_OF_MEMORY,
            "the job needed more memory than it may use: raise resources.memory_gb, or use fewer columns or rows",
        )
    return ReasonCode.HANDLER_ERROR, f"the handler stopped with {type(error).__name__}{_place(error)}"


def _is_out_of_memory(error: BaseException) -> bool:
    # torch has a class of its own for GPUs, and for the CPU only a sentence.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "can't allocate memory" in str(error)


def _place(error: BaseException) -> str:
    """« (splits.py, line 12)»: the innermost line of ours, or of whoever raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent != Path(__file__).parent]
    ours = [f for f in frames if "site-packages" not in f.filename]
    if not (ours or frames):
        return ""
    frame = (ours or frames)[-1]
    return f" ({Path(frame.filename).name}, line {frame.lineno})"
