"""Stopping a job: asked for on the log like everything else, and watched until it has an end."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient
from infra.cli.console import Json, print_json
from infra.cli.errors import CliError, ExitCode
from infra.cli.publishing import build, publisher, whoami
from infra.cli.runtime import load_settings, run

if TYPE_CHECKING:
    from pydantic import BaseModel

    from infra.settings import Settings

_PATIENCE_S = 10.0
_LOOK_AGAIN_S = 0.1
_FINAL = ("completed", "failed", "cancelled")
_CODES = {"cancelled": ExitCode.OK, "unknown": ExitCode.NOT_FOUND}


def cancel(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID…", help="As `submit` or `jobs` printed them.")],
    requested_by: Annotated[str | None, typer.Option("--by", help="Who asks; you, where it is not said.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it has an end, at most 10 s.")] = True,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Stop jobs, waiting or running. One that has ended stays as it is; one that is not known yet will never start.

    The exit code is 0 if all were cancelled, 1 if one had ended otherwise or has not ended yet, 4 if one is unknown.
    """
    from events.requests import CancellationRequested

    settings = load_settings()
    by = requested_by or whoami()
    asked = [build(CancellationRequested, {"job_id": job_id, "requested_by": by}) for job_id in job_ids]
    run(_ask(settings, asked))
    if not wait:
        _tell([{"job_id": job_id, "status": "asked", "message": "asked for"} for job_id in job_ids], as_json)
        return
    with ApiClient(settings, api) as client:
        ends = [_told(job_id, _until_ended(client, job_id)) for job_id in job_ids]
    _tell(ends, as_json)
    raise typer.Exit(max(_CODES.get(end["status"], ExitCode.FAILED) for end in ends))


def _tell(ends: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(ends)
        return
    for end in ends:
        typer.echo(f"{end['job_id']}: {end['message']}")


async def _ask(settings: "Settings", requests: "list[BaseModel]") -> None:
    async with publisher(settings) as broker:
        for request in requests:
            await broker.request(request)


def _until_ended(client: ApiClient, job_id: str) -> dict[str, Any] | None:
    """Its last status within a few seconds; None where nobody knows the job."""
    given_up = time.monotonic() + _PATIENCE_S
    job = None
    while time.monotonic() < given_up:
        try:
            job = client.status(job_id)
        except CliError as error:
            if error.code is not ExitCode.NOT_FOUND:
                raise
        if job is not None and job["status"] in _FINAL:
            break
        time.sleep(_LOOK_AGAIN_S)
    return job


def _told(job_id: str, job: dict[str, Any] | None) -> dict[str, Any]:
    status = job["status"] if job else "unknown"
    match status:
        case "cancelled":
            message = str(job["message"]) if job else ""
        case "completed" | "failed":
            message = f"had {status} already and stays so"
        case "unknown":
            message = "asked for, but the tables know no such job: unless it has run already, it will not start"
        case _:
            message = f"asked for, and still {status}: it ends when a worker hears of it (omniscope-ml doctor)"
    return {"job_id": job_id, "status": status, "message": message}
