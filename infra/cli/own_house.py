"""A house for a while: everything that trainings need is started, they run one after another, and all of it stops."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from infra.cli.errors import CliError, ExitCode
from infra.cli.house import Ending, run_house
from infra.cli.runtime import program, run

if TYPE_CHECKING:
    from infra.cli.trial import Trial, Wish
    from infra.settings import Settings

_ALARMING = (" ERROR ", " CRITICAL ")


def in_own_house(settings: "Settings", wishes: Sequence["Wish"], work: list[str], *, verbose: bool) -> "list[Trial]":
    """Starts all that is needed, tries what is wished for in turn, and stops all at the end, whatever that is.

    Args:
        work: what the agent works on.

    Raises:
        CliError: one of them did not work out; those after it were not tried.
        typer.Exit: somebody asked to stop.
    """
    from infra.cli.up import printer

    hear = printer(only_what_is_wrong=False) if verbose else alarms
    if not settings.embedded_broker:
        raise CliError(
            f"KAFKA_BOOTSTRAP_SERVERS names a broker that others may use ({settings.bootstrap_servers}): start "
            f"`{program()} up` first, or unset it, and a broker of your own is started",
            ExitCode.USAGE,
        )
    typer.echo("Starting broker, projector, registrar, API and agent (10 to 30 seconds) …")
    done: list[Trial] = []

    async def story() -> None:
        for wish in wishes:
            done.append(await _tried(settings, wish, done))

    ending = run(run_house(settings, work, hear, story))
    if ending is not Ending.TOLD:
        left = len(wishes) - len(done)
        told = "there is no report" if left == len(wishes) else f"{left} of {len(wishes)} reports are missing"
        typer.echo(f"stopped: {told if left else 'the report is there'}, and nothing runs any more", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED)
    return done


async def _tried(settings: "Settings", wish: "Wish", before: "list[Trial]") -> "Trial":
    from infra.cli.trial import Trial
    from infra.cli.withdrawal import withdraw

    foundations = [before[place] for place in wish.after]
    if foundations:
        wish = wish.on_models([trial.results["model_id"] for trial in foundations])
    if wish.heading:
        typer.echo(wish.heading)
    trial = Trial(settings, wish, foundations[0].dataset if foundations else None)
    try:
        await trial.run()
    finally:
        if trial.job_id and trial.is_under_way:
            await withdraw(settings, trial.job_id, wish.request.created_by)
    return trial


def alarms(name: str, line: str) -> None:
    """Prints of the services' lines only those that a person who wants a model must see; the logs have all."""
    if any(word in line for word in _ALARMING):
        typer.echo(f"{name:9} | {line}", err=True)
