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
    """One training of the demo. `asked`: fields of its request. `after`: the name of the act it goes on from."""

    name: str
    title: str
    file: Path
    source: str
    licence: str
    kind: str
    asked: dict[str, Any]
    after: str | None = None


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
    acts = [Act(**{**act, "file": FOLDER / act["file"]}) for act in told]
    limit = {"time_limit": time_limit}
    return [replace(act, asked=act.asked | limit) if act.kind == "automl" else act for act in acts]


def wish_of(act: Act, acts: list[Act], folder: Path) -> "Wish":
    """An act as something to try; its report goes into `folder`."""
    from infra.cli.try_it import wish_for

    wish = wish_for(act.file, act.asked, report=folder / f"{act.name}-report.html", kind=act.kind)
    heading = f"\n{act.title}\n  source: {act.source}\n  licence: {act.licence}\n\n$ {typed(act)}"
    after = None if act.after is None else [other.name for other in acts].index(act.after)
    return replace(wish, heading=heading, after=after)


def typed(act: Act) -> str:
    """What a person would type for the same."""
    base = [] if act.after is None else ["--base-model", "job:MODEL_ID"]
    words = [word for field, value in act.asked.items() for word in (f"--{_OPTIONS.get(field, field)}", str(value))]
    options = [word.replace("_", "-") if word.startswith("--") else word for word in (*words, *base)]
    if act.kind == "automl":
        return f"{program()} {shlex.join(['try', shown(act.file), *options])}"
    adding = shlex.join(["dataset", "add", shown(act.file), "--id", act.name])
    asking = shlex.join(["submit", act.kind.replace("_", "-"), "--dataset", act.name, *options, "--watch"])
    return f"{program()} {adding} && {program()} {asking}"


def shown(path: Path) -> str:
    """The path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
