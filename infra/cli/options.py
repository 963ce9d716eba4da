"""Options that several commands share: a command takes them as dataclasses, and typer sees an option a field."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from infra.cli.console import Json

Timeout = Annotated[
    int | None, typer.Option("--timeout", help="Seconds after which an attempt is stopped and the job fails.")
]
JobId = Annotated[str | None, typer.Option(help="The job's id: the same one twice runs once.  [default: a new one]")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the job until it ends.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What every training may be told of its table."""

    dataset: Annotated[str, typer.Option(help="The dataset's id.")]
    target: Annotated[str, typer.Option(help="The column to predict.")]
    features: Annotated[
        str | None, typer.Option(help="Columns to learn from, separated by commas, or @FILE with one a line.")
    ] = None
    exclude: Annotated[str | None, typer.Option(help="Columns not to learn from, in the same way.")] = None
    group: Annotated[str | None, typer.Option(help="Rows that share this column's value stay together.")] = None
    problem_type: Annotated[str | None, typer.Option(help="classification or regression.  [default: by target]")] = None
    eval_metric: Annotated[
        str | None, typer.Option(help="What models are chosen by.  [default: log_loss, rmse for numbers]")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Start of the random numbers.  [default: 0]")] = None

    def told(self) -> dict[str, Any]:
        """By the names that a request has for it; None for what was not said.

        Raises:
            OSError: a file of columns cannot be read.
        """
        return {
            "dataset_id": self.dataset,
            "target_column": self.target,
            "feature_columns": columns(self.features),
            "exclude_columns": columns(self.exclude),
            "group_column": self.group,
            "problem_type": self.problem_type,
            "eval_metric": self.eval_metric,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What every request may be told of its job, and what to show of it."""

    name: Annotated[str | None, typer.Option(help="A name for people.")] = None
    timeout: Timeout = None
    job_id: JobId = None
    watch: Watch = False
    as_json: Json = False

    def told(self) -> dict[str, Any]:
        """By the names that a request has for it; None for what was not said."""
        return {"name": self.name, "timeout_s": self.timeout, "job_id": self.job_id}


def columns(told: str | None) -> list[str] | None:
    """Column names from the command line. Commas separate; names that hold one come from a file.

    Raises:
        OSError: the file cannot be read.
    """
    if told is None:
        return None
    names = Path(told[1:]).read_text("utf-8").splitlines() if told.startswith("@") else told.split(",")
    return [name.strip() for name in names if name.strip()]


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer takes it: instead of a parameter that is a dataclass, a parameter for each of its fields.

    The dataclass is put together again before `command` is called. Field names must not clash.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {
        name: kind for name, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)
    }
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        group = groups.get(own.name)
        several, known = ([own], hints) if group is None else _fields(group)
        parameters += [one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=known[one.name]) for one in several]

    @wraps(command)
    def gathered(**told: Any) -> None:
        whole = {name: kind(**{one.name: told.pop(one.name) for one in fields(kind)}) for name, kind in groups.items()}
        command(**whole, **told)

    gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {one.name: one.annotation for one in parameters}
    return gathered


def _fields(group: type) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    return list(inspect.signature(group).parameters.values()), get_type_hints(group, include_extras=True)
