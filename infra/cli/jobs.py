"""Jobs: the list, and watching one until it ends."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient, Limit
from infra.cli.console import Json, ago, console, duration, print_json, print_table
from infra.cli.errors import CliError, ExitCode
from infra.cli.explanations import print_explanation
from infra.cli.models import print_results
from infra.cli.runtime import load_settings, program

if TYPE_CHECKING:
    from infra.cli.progress import View
    from infra.settings import Settings

_EVERY_S = 0.4
#: The projector writes down what was published a moment ago; after that, an unknown job is one.
_PATIENCE_S = 5.0
_OUTAGE_S = 60.0
_FINAL = ("completed", "failed", "cancelled")


def jobs(
    status: Annotated[str | None, typer.Option(help="Only these: pending, running, completed, …")] = None,
    limit: Limit = 20,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    with ApiClient(load_settings(), api) as client:
        found = client.pages("/api/ml/jobs", limit, status=status)
    if as_json:
        print_json(found)
        return
    rows = (
        (job["job_id"], job["kind"], standing(job), f"{job['progress']:.0f} %", ago(job["created_at"]), told(job))
        for job in found
    )
    print_table(("job", "kind", "status", "done", "asked for", "message"), rows, if_empty="No jobs yet.")


def standing(job: dict[str, Any]) -> str:
    """The status, and whether nobody has heard of a running job for a while."""
    return f"{job['status']}, stalled" if job.get("stalled") else str(job["status"])


def told(job: dict[str, Any]) -> str:
    """The last word about a job: why it failed, else its message."""
    return str(job["error"]["message"]) if job.get("error") else str(job["message"])


def watch(
    job_id: Annotated[str, typer.Argument(help="The job's id, as `submit` printed it.")],
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Follow a job until it ends: progress, time to go, then the result or the reason."""
    raise typer.Exit(follow(load_settings(), job_id, api=api, as_json=as_json, patience_s=_PATIENCE_S))


def follow(
    settings: "Settings",
    job_id: str,
    *,
    api: str | None = None,
    as_json: bool = False,
    patience_s: float,
) -> ExitCode:
    """Shows a job until it ends; returns OK if it completed.

    Raises:
        CliError: nobody knows the job after `patience_s`, the API is gone for a minute, or Ctrl-C was pressed.
    """
    with ApiClient(settings, api) as client:
        try:
            final = until_final(client, job_id, as_json=as_json, patience_s=patience_s)
        except KeyboardInterrupt:
            raise CliError(
                "no longer watching; the job goes on as long as its agent runs. "
                f"To come back: {program()} watch {job_id}",
                ExitCode.INTERRUPTED,
            ) from None
        if final["status"] == "completed" and not as_json:
            _print_what_was_made(client, final, settings)
    if as_json:
        print_json(final)
    elif final["status"] == "completed":
        typer.echo(f"{final['message']} ({_took(final)})")
    else:
        reason = f" ({final['error']['reason']})" if final.get("error") else ""
        how = "was cancelled" if final["status"] == "cancelled" else final["status"]
        typer.echo(f"omniscope-ml: the job {how}: {told(final)}{reason}", err=True)
    return ExitCode.OK if final["status"] == "completed" else ExitCode.FAILED


def _print_what_was_made(client: ApiClient, job: dict[str, Any], settings: "Settings") -> None:
    if job["model_id"]:
        print_results(client.results_of(job), settings)
    if job.get("explanation_id"):
        print_explanation(client.explanation_of(job), settings)


def until_final(
    client: ApiClient,
    job_id: str,
    *,
    as_json: bool,
    patience_s: float,
    pause: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """The job's last status, its way there shown as it goes. `pause` may raise to end the watching."""
    from infra.cli.progress import view

    with view(as_json, console()) as show:
        return _poll(client, job_id, show, patience_s, pause or time.sleep)


def _poll(
    client: ApiClient, job_id: str, show: "View", patience_s: float, pause: Callable[[float], None]
) -> dict[str, Any]:
    known_by = time.monotonic() + patience_s
    answered = time.monotonic()
    while True:
        try:
            job = client.status(job_id)
        except CliError as error:
            unknown = error.code is ExitCode.NOT_FOUND and time.monotonic() < known_by
            # A restarting API is no end of the job; one that never answered is an error at once.
            outage = error.code is ExitCode.UNREACHABLE and show.shown and time.monotonic() < answered + _OUTAGE_S
            if not (unknown or outage):
                raise
        else:
            answered = time.monotonic()
            if job["status"] in _FINAL:
                show.finish(job)
                return job
            show.update(job)
        pause(_EVERY_S)


def _took(job: dict[str, Any]) -> str:
    from datetime import datetime

    if not (job["started_at"] and job["completed_at"]):
        return "ended"
    start, end = (datetime.fromisoformat(job[name].replace("Z", "+00:00")) for name in ("started_at", "completed_at"))
    return duration((end - start).total_seconds())
