"""The whole house in one terminal, for `up` and `demo`: which services, in which order, and how it all ends."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING

import typer

from infra.cli.errors import CliError

if TYPE_CHECKING:
    from infra.cli.supervisor import Supervisor
    from infra.settings import Settings

#: A worker drains its jobs, then leaves its consumer groups: up to 16 s in a broker outage.
_AGENT_GRACE_S = 30.0
#: A call to a tracking server that does not answer ends by itself after 10 s, and is made twice.
_REGISTRAR_GRACE_S = 25.0


class Ending(Enum):
    """How the house came to its end, if nothing went wrong."""

    TOLD = "the story was told"
    STOPPED = "somebody asked for it"
    KILLED = "somebody asked twice"


async def run_house(
    settings: "Settings",
    work: list[str],
    hear: Callable[[str, str], None],
    story: Callable[[], Awaitable[None]],
) -> Ending:
    """Starts all services, runs `story` beside them, and stops all when it ends, a service dies, or a signal comes.

    Leaves nothing running. A second signal kills at once.

    Args:
        work: what the agent works on.
        hear: is told the services' lines (name, line).

    Raises:
        CliError: a service died or did not get ready; or whatever `story` raised.
    """
    from infra.cli.supervisor import Supervisor

    supervisor = Supervisor(settings.data_dir / "logs", environment(settings), hear)
    asked = _signals(supervisor)
    async with supervisor:
        living = asyncio.create_task(_live(supervisor, settings, work, story))
        stopping = asyncio.create_task(asked.stop.wait())
        await asyncio.wait([living, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not living.done():
            typer.echo("stopping; Ctrl-C again kills at once", err=True)
        living.cancel()
        stopping.cancel()
        await asyncio.gather(living, stopping, return_exceptions=True)
        killed = await supervisor.stop()
    if killed and not asked.hurry:
        typer.echo(f"had to be killed: {', '.join(killed)}", err=True)
    if asked.hurry:
        return Ending.KILLED
    if living.cancelled():
        return Ending.STOPPED
    living.result()
    return Ending.TOLD


class _Asked:
    """Whether somebody wants this to end, and how soon."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = False


def _signals(supervisor: "Supervisor") -> _Asked:
    asked = _Asked()

    def on_signal() -> None:
        if asked.stop.is_set():
            asked.hurry = True
            supervisor.kill()
        asked.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return asked


async def _live(
    supervisor: "Supervisor", settings: "Settings", work: list[str], story: Callable[[], Awaitable[None]]
) -> None:
    from infra.cli.supervisor import ServiceDied

    try:
        await _start(supervisor, settings, work)
        telling = asyncio.ensure_future(story())
        dying = asyncio.create_task(supervisor.wait())
        try:
            done, _ = await asyncio.wait([telling, dying], return_when=asyncio.FIRST_COMPLETED)
            await done.pop()
        finally:
            telling.cancel()
            dying.cancel()
            await asyncio.gather(telling, dying, return_exceptions=True)
    except (ServiceDied, TimeoutError) as error:
        raise CliError(f"{error}\nEverything else was stopped.") from error


async def _start(supervisor: "Supervisor", settings: "Settings", work: list[str]) -> None:
    from infra.cli.supervisor import Service
    from infra.kafka.embedded.server import require_free

    require_free(settings.api_host, settings.api_port, "API_PORT")
    if settings.embedded_broker:
        await supervisor.start(Service.of_ours("broker", "broker"))
    # Stopped in the opposite order: the agent first, so that its last words are still written down.
    await supervisor.start(
        Service.of_ours("projector", "projector"),
        Service.of_ours("registrar", "registrar", grace_s=_REGISTRAR_GRACE_S),
        Service.of_ours("api", "api"),
        Service.of_ours("agent", "agent", *work, grace_s=settings.drain_s + _AGENT_GRACE_S),
    )


def environment(settings: "Settings") -> dict[str, str]:
    """What the children see: ours, with everything that was decided here made explicit."""
    ports = {"API_PORT": str(settings.api_port), "EMBEDDED_KAFKA_PORT": str(settings.embedded_kafka_port)}
    return {**os.environ, "DATA_DIR": str(settings.data_dir), **ports}


def with_port(settings: "Settings") -> "Settings":
    """API_PORT 0 means any: chosen here, so that it can be told."""
    if settings.api_port:
        return settings
    return settings.model_copy(update={"api_port": free_port(settings.api_host)})


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
