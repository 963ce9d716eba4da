"""The processes of the house, one each in the foreground: how they are deployed, and what `up` starts."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.runtime import load_settings, run, stop_on_signals

if TYPE_CHECKING:
    from infra.settings import Settings


def agent(
    names: Annotated[list[str], typer.Argument(metavar="KIND…|datasets|all", help="What to work on, e.g. automl.")],
    with_noop: Annotated[bool, typer.Option(help="With `all`: also the kind that does nothing, for tests.")] = False,
) -> None:
    """Work on jobs of these kinds, or on uploaded datasets, until stopped."""
    chosen = agent_names(names, with_noop=with_noop)
    require("agent", "worker")
    settings = load_settings()
    _log()
    raise typer.Exit(run(_agent(settings, chosen)))


async def _agent(settings: "Settings", names: list[str]) -> int:
    from infra.kafka.worker import run_agents
    from infra.lifeline import tell_ready

    settings.make_data_dir()
    return await run_agents(settings, names, tell_ready)


def _log() -> None:
    from infra.cli.logs import log_to_stderr

    log_to_stderr()


def agent_names(told: list[str], *, with_noop: bool = False) -> list[str]:
    """What an agent may be asked to work on: the kinds of jobs, `datasets`, and `all` for all of these.

    Kinds whose handler is not written yet are served too: their jobs end with a reason instead of waiting.

    Raises:
        CliError: a name is unknown.
    """
    from events.topics import JobKind
    from handlers.registry import DATASETS

    served = [*(kind.value for kind in JobKind if kind is not JobKind.NOOP), DATASETS]
    chosen: list[str] = []
    for name in (part.strip().replace("-", "_") for text in told for part in text.split(",") if part.strip()):
        if name == "all":
            chosen += served + [JobKind.NOOP.value] * with_noop
        elif name in (*served, JobKind.NOOP.value):
            chosen.append(name)
        else:
            raise CliError(f"{name!r} is nothing to work on: choose from {', '.join(served)} or all", ExitCode.USAGE)
    return list(dict.fromkeys(chosen))


def projector() -> None:
    """Keep the tables: consume outcomes and write them down until stopped."""
    require("projector", "api")
    settings = load_settings()
    _log()
    run(_projector(settings))


async def _projector(settings: "Settings") -> None:
    from infra.kafka.projector import run as project
    from infra.lifeline import tell_ready

    await project(settings, stop_on_signals(), tell_ready)


def registrar() -> None:
    """Keep MLflow's runs and registered models: consume outcomes and write them down until stopped."""
    require("registrar", "worker")
    settings = load_settings()
    _log()
    run(_registrar(settings))


async def _registrar(settings: "Settings") -> None:
    from infra.lifeline import tell_ready
    from infra.tracking.registrar import run as register

    await register(settings, stop_on_signals(), tell_ready)


def api() -> None:
    """Serve the read API until stopped."""
    require("api", "api")
    settings = load_settings()
    _log()
    run(_api(settings))


async def _api(settings: "Settings") -> None:
    from infra.api.serving import serve
    from infra.lifeline import tell_ready

    settings.make_data_dir()
    await serve(settings, stop_on_signals(), ready=lambda _address: tell_ready())


def broker() -> None:
    """Run the embedded broker. Its log is kept in DATA_DIR/broker.db and is there again after a restart."""
    settings = load_settings()
    _log()
    run(_broker(settings))


async def _broker(settings: "Settings") -> None:
    from infra.kafka.embedded.kept import keep
    from infra.lifeline import tell_ready

    if not settings.embedded_broker:
        raise CliError("KAFKA_BOOTSTRAP_SERVERS names another broker: unset it to run the embedded one", ExitCode.USAGE)

    def ready() -> None:
        typer.echo(f"the embedded broker answers at {settings.bootstrap_servers}", err=True)
        tell_ready()

    await keep(settings, stop_on_signals(), ready)
