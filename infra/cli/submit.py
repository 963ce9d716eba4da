"""Submitting requests: the kinds with options of their own, and any kind from a JSON file."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from infra.cli.console import Json, print_json
from infra.cli.errors import CliError, ExitCode
from infra.cli.known_datasets import warn_if_unknown
from infra.cli.publishing import build, publisher, whoami
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from pydantic import BaseModel

    from events.envelope import CloudEvent
    from events.publisher import Receipt
    from infra.settings import Settings

#: How long `--watch` waits for the projector to have written the job down.
_PATIENCE_S = 30.0

Timeout = Annotated[
    int | None, typer.Option("--timeout", help="Seconds after which an attempt is stopped and the job fails.")
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the job until it ends.")]
Name = Annotated[str | None, typer.Option(help="A name for people.")]
JobId = Annotated[str | None, typer.Option(help="The job's id: the same one twice runs once.  [default: a new one]")]


class KindOrFile(TyperGroup):
    """`submit automl …` is a command; `submit request.json` and `submit -` mean the hidden one, `file`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and (args[0] == "-" or args[0].endswith(".json")):
            args = ["file", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=KindOrFile,
    no_args_is_help=True,
    help="Publish a request: of a kind below, or any kind from a file (submit request.json, or - for stdin).",
)


@app.command()
def automl(
    dataset: Annotated[str, typer.Option(help="The dataset's id.")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    time_limit: Annotated[int | None, typer.Option(help="Seconds to train.  [default: 600]")] = None,
    quality: Annotated[str | None, typer.Option(help="medium, good, high or best.  [default: good]")] = None,
    features: Annotated[
        str | None, typer.Option(help="Columns to learn from, separated by commas, or @FILE with one a line.")
    ] = None,
    exclude: Annotated[str | None, typer.Option(help="Columns not to learn from, in the same way.")] = None,
    group: Annotated[str | None, typer.Option(help="Rows that share this column's value stay together.")] = None,
    problem_type: Annotated[
        str | None, typer.Option(help="classification or regression.  [default: by target]")
    ] = None,
    eval_metric: Annotated[
        str | None, typer.Option(help="What models are chosen by.  [default: log_loss, rmse for numbers]")
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Also try other settings of each model.")] = False,
    seed: Annotated[int | None, typer.Option(help="Start of the random numbers.  [default: 0]")] = None,
    name: Name = None,
    timeout: Timeout = None,
    job_id: JobId = None,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """Train the best model AutoGluon finds in the time given."""
    from events.requests import AutomlRequested

    told = {
        "dataset_id": dataset,
        "target_column": target,
        "time_limit": time_limit,
        "quality": quality,
        "feature_columns": columns(features),
        "exclude_columns": columns(exclude),
        "group_column": group,
        "problem_type": problem_type,
        "eval_metric": eval_metric,
        "hyperparameter_tuning": tune or None,
        "seed": seed,
        "name": name,
        "timeout_s": timeout,
        "job_id": job_id,
        "created_by": whoami(),
    }
    _submit(build(AutomlRequested, told), watch=watch, as_json=as_json)


@app.command(hidden=True)
def noop(
    duration: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    steps: Annotated[int | None, typer.Option(help="Progress events on the way.")] = None,
    behaviour: Annotated[str | None, typer.Option(help="finish, fail, raise, exit, hang or spawn.")] = None,
    timeout: Timeout = None,
    job_id: JobId = None,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """Do nothing for a while, for tests (`up --with-noop` works on it)."""
    from events.requests import NoopRequested

    told = {
        "duration_s": duration,
        "steps": steps,
        "behaviour": behaviour,
        "timeout_s": timeout,
        "job_id": job_id,
        "created_by": whoami(),
    }
    _submit(build(NoopRequested, told), watch=watch, as_json=as_json)


@app.command(hidden=True)
def file(
    path: Annotated[Path, typer.Argument(help="A CloudEvent, or a request's data together with --kind; - for stdin.")],
    kind: Annotated[str | None, typer.Option(help="What the data ask for: automl, ensemble, cancellation, …")] = None,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """Publish a request of any kind from a JSON file."""
    body = _read(path)
    if "specversion" in body:
        _submit(event_of(body), watch=watch, as_json=as_json)
    elif kind is None:
        raise CliError("the file is no CloudEvent: say with --kind what its data ask for", ExitCode.USAGE)
    else:
        _submit(request_of(kind, body), watch=watch, as_json=as_json)


def columns(told: str | None) -> list[str] | None:
    """Column names from the command line. Commas separate; names that hold one come from a file.

    Raises:
        OSError: the file cannot be read.
    """
    if told is None:
        return None
    names = Path(told[1:]).read_text("utf-8").splitlines() if told.startswith("@") else told.split(",")
    return [name.strip() for name in names if name.strip()]


def request_of(kind: str, data: dict[str, Any]) -> "BaseModel":
    """The request model for `automl`, `model-deletion`, `datasets.uploaded`, …, filled with `data`.

    Raises:
        CliError: there is no such kind, or the data do not fit it.
    """
    from events.vocabulary import EVENTS

    asked = {
        event.name.removeprefix("ml.").removesuffix(".requested"): event.model
        for event in EVENTS.values()
        if event.name.endswith((".requested", ".uploaded"))
    }
    model = asked.get(kind.replace("_", "-"))
    if model is None:
        raise CliError(f"{kind!r} is no kind of request: choose from {', '.join(asked)}", ExitCode.USAGE)
    return build(model, data)  # type: ignore[no-any-return]


def event_of(body: dict[str, Any]) -> "CloudEvent":
    """A CloudEvent from a file, checked as an agent would check it.

    Raises:
        events.InvalidEvent: it breaks the contract.
    """
    from events.envelope import decode
    from events.vocabulary import EVENTS, identify, validate

    raw = json.dumps(body).encode()
    known = EVENTS.get(decode(raw).type)
    found = identify(known.topic if known else "", None, raw)
    validate(found)
    return found.event.model_copy(update={"subject": found.key})


def _read(path: Path) -> dict[str, Any]:
    raw = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise CliError(f"{path} is no JSON: {error}", ExitCode.USAGE) from None
    if not isinstance(body, dict):
        raise CliError(f"{path} must hold one JSON object", ExitCode.USAGE)
    return body


def _submit(asked: "BaseModel | CloudEvent", *, watch: bool, as_json: bool) -> None:
    from events.requests import TrainingRequested

    settings = load_settings()
    if isinstance(asked, TrainingRequested):
        warn_if_unknown(settings, asked.dataset_id)
    receipt = run(_publish(settings, asked))
    if as_json:
        print_json(receipt.model_dump(mode="json"))
    else:
        typer.echo(f"{receipt.job_id} is {receipt.status}: {receipt.message}")
    if not watch:
        if not as_json:
            typer.echo(f"next: {program()} watch {receipt.job_id}")
        return
    from infra.cli.jobs import follow

    raise typer.Exit(follow(settings, receipt.job_id, as_json=as_json, patience_s=_PATIENCE_S))


async def _publish(settings: "Settings", asked: "BaseModel | CloudEvent") -> "Receipt":
    from events.envelope import CloudEvent
    from events.publisher import Receipt

    async with publisher(settings) as broker:
        if not isinstance(asked, CloudEvent):
            return await broker.request(asked)
        await broker.send(asked)
        return Receipt(job_id=asked.subject or "", event_id=asked.id, created_at=asked.time)
