"""The acts of the demo: what is trained on which real data, and what a person would type for it."""

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cli.errors import CliError
from infra.cli.runtime import program

if TYPE_CHECKING:
    from infra.cli.trial import Wish

FOLDER = Path(__file__).parents[2] / "demo"
#: Options that are not called like their field.
_OPTIONS = {"target_column": "target"}


@dataclass(frozen=True, slots=True)
class Act:
    """One training of the demo. `asked`: fields of its request. `after`: the names of the acts that it builds on.

    An ensemble has no file: it is made of models that know one.
    """

    name: str
    title: str
    kind: str
    asked: dict[str, Any]
    file: Path | None = None
    source: str = ""
    licence: str = ""
    after: tuple[str, ...] = ()


def demo_acts(time_limit: int) -> list[Act]:
    """What the demo trains, in order, as `demo/demo.json` says; `time_limit` is for those that are asked for one.

    Raises:
        CliError: this is no source tree.
    """
    try:
        told: list[dict[str, Any]] = json.loads((FOLDER / "demo.json").read_text("utf-8"))
    except FileNotFoundError:
        raise CliError(
            "the demo's data are in the source tree alone: clone the repository and run `make demo`"
        ) from None
    acts = [_act(act) for act in told]
    limit = {"time_limit": time_limit}
    return [replace(act, asked=act.asked | limit) if act.kind == "automl" else act for act in acts]


def _act(told: dict[str, Any]) -> Act:
    file = FOLDER / told["file"] if "file" in told else None
    return Act(**{**told, "file": file, "after": tuple(told.get("after", ()))})


def wish_of(act: Act, acts: list[Act], folder: Path) -> "Wish":
    """An act as something to try; its report goes into `folder`."""
    from infra.cli.publishing import whoami
    from infra.cli.submit import request_of
    from infra.cli.trial import Wish
    from infra.cli.try_it import wish_for

    report = folder / f"{act.name}-report.html"
    data = f"\n  source: {act.source}\n  licence: {act.licence}" if act.source else ""
    heading = f"\n{act.title}{data}\n\n$ {typed(act)}"
    names = [other.name for other in acts]
    after = tuple(names.index(name) for name in act.after)
    if act.file is not None:
        wish = wish_for(act.file, act.asked, report=report, kind=act.kind)
    else:
        # The models are not there yet: the acts that make them come before.
        asked = {**act.asked, "model_ids": list(act.after), "created_by": whoami()}
        wish = Wish(None, request_of(act.kind, asked), report)
    return replace(wish, heading=heading, after=after)


def typed(act: Act) -> str:
    """What a person would type for the same."""
    words = [word for field, value in act.asked.items() for word in (f"--{_OPTIONS.get(field, field)}", str(value))]
    options = [word.replace("_", "-") if word.startswith("--") else word for word in words]
    kind = act.kind.replace("_", "-")
    if act.file is None:
        return f"{program()} {shlex.join(['submit', kind, *('MODEL_ID' for _ in act.after), *options, '--watch'])}"
    if act.kind == "automl":
        return f"{program()} {shlex.join(['try', shown(act.file), *options])}"
    base = ["--base-model", "job:MODEL_ID"] if act.after else []
    adding = shlex.join(["dataset", "add", shown(act.file), "--id", act.name])
    asking = shlex.join(["submit", kind, "--dataset", act.name, *options, *base, "--watch"])
    return f"{program()} {adding} && {program()} {asking}"


def shown(path: Path) -> str:
    """The path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
