"""Submitting requests: the kinds with options of their own, and any kind from a JSON file."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from infra.cli import submit_ensemble, submit_training
from infra.cli.console import Json
from infra.cli.errors import CliError, ExitCode
from infra.cli.options import JobId, Timeout, Watch
from infra.cli.publishing import build, whoami
from infra.cli.sending import submit

if TYPE_CHECKING:
    from events.envelope import CloudEvent


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
for training in (submit_training.automl, submit_training.deep_learning, submit_training.transfer_learning):
    app.command(training.__name__.replace("_", "-"))(training)
app.command()(submit_ensemble.ensemble)


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
    submit(build(NoopRequested, told), watch=watch, as_json=as_json)


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
        submit(event_of(body), watch=watch, as_json=as_json)
    elif kind is None:
        raise CliError("the file is no CloudEvent: say with --kind what its data ask for", ExitCode.USAGE)
    else:
        submit(request_of(kind, body), watch=watch, as_json=as_json)


def request_of(kind: str, data: dict[str, Any]) -> Any:
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
    return build(model, data)


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
