"""Removing a model: asked for on the log like everything else, and listened for until it is decided."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient, Gone
from infra.cli.console import Json, counted, print_json
from infra.cli.errors import CliError, ExitCode
from infra.cli.models import find_model
from infra.cli.publishing import build, publisher, whoami
from infra.cli.runtime import load_settings, run

if TYPE_CHECKING:
    from events.requests import ModelDeletionRequested
    from infra.settings import Settings

_PATIENCE_S = 30.0


def delete(
    model: Annotated[str, typer.Argument(help="Its whole id, or its whole name.")],
    cascade: Annotated[bool, typer.Option("--cascade", help="Also the ensembles that are made of it.")] = False,
    requested_by: Annotated[str | None, typer.Option("--by", help="Who asks; you, where it is not said.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is decided, at most 30 s.")] = True,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Remove a model and its files for good. One that an ensemble is made of stays, unless that goes along.

    Jobs that are at work with it end as failed. The exit code is 0 if it is gone, 1 if it stays or nobody has
    answered yet, 4 if there is no such model.
    """
    from events.requests import ModelDeletionRequested

    settings = load_settings()
    with ApiClient(settings, api) as client:
        try:
            found = find_model(client, model)
        except Gone as gone:
            _tell({"model_id": model, "status": "deleted", "message": f"{model}: {gone}"}, as_json)
            return
    if model not in (found["model_id"], found["model_name"]):
        raise CliError(
            f"{model!r} is only how {found['model_id']} ({found['model_name']}) begins: "
            "what is deleted does not come back, so say its whole id or name",
            ExitCode.USAGE,
        )
    asked = {"model_id": found["model_id"], "cascade": cascade, "requested_by": requested_by or whoami()}
    request: ModelDeletionRequested = build(ModelDeletionRequested, asked)
    end = run(_asked(settings, request, _PATIENCE_S if wait else None))
    _tell(_told(end, found), as_json)
    if wait and end["status"] != "deleted":
        raise typer.Exit(ExitCode.FAILED)


async def _asked(settings: "Settings", request: "ModelDeletionRequested", wait_s: float | None) -> dict[str, Any]:
    """What became of the request, as far as that is heard: `status` is deleted, refused or asked."""
    from events.identifiers import derived_id
    from events.topics import Topic
    from infra.cli.listening import Listener

    async with publisher(settings) as broker:
        if wait_s is None:
            receipt = await broker.request(request)
            return {"status": "asked", "event_id": receipt.event_id}
        async with Listener(settings, Topic.MODELS) as listener:
            receipt = await broker.request(request)
            # Another request for the same model may have been refused a moment ago.
            ours = derived_id(broker.source, receipt.event_id, "refused")
            heard = await listener.first(lambda event: _end(event, str(request.model_id), ours), wait_s)
        return {"status": "asked", **(heard or {}), "event_id": receipt.event_id}


def _end(event: Any, model_id: str, refusal: str) -> dict[str, Any] | None:
    """Whether the event decides about the model. One that is gone is gone, whoever asked, and whenever.

    `refusal`: the id of the event by which this very request would be refused.
    """
    about, along = event.data.get("model_id"), event.data.get("with_models", [])
    if event.name == "ml.model.deleted" and model_id in (about, *along):
        return {"status": "deleted", "with_models": along if model_id == about else []}
    if event.name == "ml.model.deletion-refused" and event.id == refusal:
        return {"status": "refused", "used_by": event.data["used_by"]}
    return None


def _told(end: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    name = f"{model['model_name']} ({model['model_id']})"
    match end["status"]:
        case "deleted":
            along = end["with_models"]
            message = f"{name} is deleted" + (f", and what was made of it: {_these(along)}" if along else "")
        case "refused":
            message = f"{name} stays, for it is part of {_these(end['used_by'])}: delete that first, or say --cascade"
        case _:
            message = (
                f"{name} is to be deleted: asked for, and no worker has answered so far "
                "(omniscope-ml doctor, omniscope-ml dlq list)"
            )
    return {"model_id": model["model_id"], **end, "message": message}


def _these(model_ids: list[str]) -> str:
    return f"{counted(len(model_ids), 'ensemble')} ({', '.join(model_ids)})"


def _tell(end: dict[str, Any], as_json: bool) -> None:
    print_json(end) if as_json else typer.echo(end["message"])
