"""A request on its way: published, told of, and followed where that is wished for."""

from typing import TYPE_CHECKING

import typer

from infra.cli.console import print_json
from infra.cli.known_datasets import warn_if_unknown
from infra.cli.publishing import publisher
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from pydantic import BaseModel

    from events.envelope import CloudEvent
    from events.publisher import Receipt
    from infra.settings import Settings

#: How long `--watch` waits for the projector to have written the job down.
_PATIENCE_S = 30.0


def submit(asked: "BaseModel | CloudEvent", *, watch: bool, as_json: bool) -> None:
    """Publishes what is asked for, and follows the job if told to.

    Raises:
        typer.Exit: the job was followed to its end, with the code that says how it ended.
        CliError: there is no broker, or nobody knows the job.
    """
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
