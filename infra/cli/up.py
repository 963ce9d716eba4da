"""`omniscope-ml up`: everything in one terminal."""

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.client import api_address
from infra.cli.console import Json, print_json
from infra.cli.errors import ExitCode
from infra.cli.exports import exports
from infra.cli.extras import require
from infra.cli.house import Ending, run_house, with_port
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from infra.settings import Settings

_WRONG = (" WARNING ", " ERROR ", " CRITICAL ")
#: News that come many times a second or mean something to us alone: in the log files, not on the terminal.
_CHATTY = (" INFO infra.api.middleware: ", " INFO infra.kafka.faust_app: ")


def up(
    kinds: Annotated[str, typer.Option(help="What to work on, separated by commas: kinds of jobs, datasets.")] = "all",
    with_noop: Annotated[bool, typer.Option(help="Also work on the kind that does nothing, for tests.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is wrong; the logs tell the rest.")] = False,
    as_json: Json = False,
) -> None:
    """Run everything here: broker (unless KAFKA_BOOTSTRAP_SERVERS is set), projector, registrar, API, agent."""
    from infra.cli.lock import only_one
    from infra.cli.services import agent_names

    require("up", "api", "worker")
    work = agent_names([kinds], with_noop=with_noop)
    settings = with_port(load_settings())
    settings.make_data_dir()

    async def until_stopped() -> None:
        announce_json(settings) if as_json else announce(settings)
        await asyncio.Event().wait()

    about = {"command": "up", "work": work, "api": api_address(settings), "broker": settings.bootstrap_servers}
    with only_one(settings.data_dir, about):
        typer.echo(f"OmniScope ML starts. Data and logs: {settings.data_dir}. Stop it with Ctrl-C.", err=True)
        ending = run(run_house(settings, work, printer(quiet), until_stopped))
    # Being stopped is how this command ends well; only a second, impatient signal is an interruption.
    typer.echo("all killed" if ending is Ending.KILLED else "all stopped", err=True)
    raise typer.Exit(ExitCode.INTERRUPTED if ending is Ending.KILLED else ExitCode.OK)


def printer(only_what_is_wrong: bool) -> Callable[[str, str], None]:
    """Prints the services' lines, each behind the service's name."""

    def hear(name: str, line: str) -> None:
        shown = any(word in line for word in _WRONG) if only_what_is_wrong else not any(w in line for w in _CHATTY)
        if shown:
            typer.echo(f"{name:9} | {line}", err=True)

    return hear


def announce_json(settings: "Settings") -> None:
    print_json(
        {
            "api": api_address(settings),
            "broker": settings.bootstrap_servers,
            "data_dir": str(settings.data_dir),
            "pid": os.getpid(),
        }
    )


def announce(settings: "Settings") -> None:
    kept = f"  (embedded: its log is kept in {settings.broker_journal})" if settings.embedded_broker else ""
    typer.echo(
        f"\nReady.\n"
        f"  API     {api_address(settings)}\n"
        f"  broker  {settings.bootstrap_servers}{kept}\n"
        f"In another terminal:\n"
        f"{''.join(f'  {line}{chr(10)}' for line in exports(settings))}"
        f"  export OMNISCOPE_TOKEN=$({program()} token)\n"
        f"  {program()} dataset add data.csv --id mine\n"
        f"  {program()} submit automl --dataset mine --target COLUMN --watch\n"
    )
