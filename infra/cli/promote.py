"""Promoting a model: a person says that it is the one to be used."""

import time
from typing import Annotated, Any

import typer

from infra.cli.client import Api, ApiClient
from infra.cli.console import Json, print_json
from infra.cli.models import find_model
from infra.cli.publishing import build, send
from infra.cli.runtime import load_settings, run

_PATIENCE_S = 10.0
_LOOK_AGAIN_S = 0.2


def promote(
    model: Annotated[str, typer.Argument(help="Its id or name, or how it begins.")],
    approved_by: Annotated[str, typer.Option(help="The person who answers for it.")],
    reason: Annotated[str | None, typer.Option(help="Why, for those who ask later.")] = None,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Make a model the champion of its dataset and target."""
    from events.requests import ModelPromotionRequested

    settings = load_settings()
    with ApiClient(settings, api) as client:
        found = find_model(client, model)
        told = {"model_id": found["model_id"], "approved_by": approved_by, "reason": reason}
        request = build(ModelPromotionRequested, told)
        for warning in found.get("warnings", ()):
            typer.echo(f"! {warning}", err=True)
        receipt = run(send(settings, request))
        if as_json:
            print_json({"model_id": found["model_id"], "event_id": receipt.event_id, "approved_by": approved_by})
            return
        name = f" of {found['registered_name']}" if found.get("registered_name") else ""
        if _is_promoted(client, found):
            typer.echo(f"{found['model_name']} is the champion{name}, approved by {approved_by}")
            return
    typer.echo(
        f"{found['model_name']} is to be the champion{name}, approved by {approved_by}: {receipt.message}, and the "
        "registrar has not answered yet"
    )


def _is_promoted(client: ApiClient, before: dict[str, Any]) -> bool:
    """Whether the tables tell of it within a few seconds."""
    given_up = time.monotonic() + _PATIENCE_S
    while time.monotonic() < given_up:
        if client.results(before["model_id"]).get("promoted_at") != before.get("promoted_at"):
            return True
        time.sleep(_LOOK_AGAIN_S)
    return False
