"""Serving the read API over HTTP, until told to stop."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from infra.settings import Settings, SettingsError

from .app import create_app

log = structlog.get_logger(__name__)

_GRACE_S = 5
_BACKLOG = 2048


async def serve(settings: Settings, stop: asyncio.Event, ready: Callable[[str], None] | None = None) -> None:
    """Answers requests on API_HOST and API_PORT until `stop` is set or the task is cancelled.

    Requests under way are finished first, for at most five seconds. `ready` is told the address once it is
    open; with API_PORT=0 that is the only way to learn the port.

    Raises:
        SettingsError: the address cannot be opened, or there is nothing usable to check tokens with.
    """
    app = create_app(settings)
    listener = listen(settings.api_host, settings.api_port)
    with listener:
        server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",  # run below: its errors are then ours to tell, and not uvicorn's exit code
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                backlog=_BACKLOG,
            ),
            opened=lambda: _tell(listener, ready),
        )
        async with app.router.lifespan_context(app):
            await _run(server, listener, stop)


async def _run(server: uvicorn.Server, listener: socket.socket, stop: asyncio.Event) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """Leaves signals to the process it runs in, and says when its address is open."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._opened()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SettingsError: naming API_HOST or API_PORT and what to change.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        # asyncio does this only for sockets that name their protocol. Head and body of an answer are two
        # writes: without it every second one waits 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except socket.gaierror as error:
        raise SettingsError(f"API_HOST: {host} is no known host") from error
    except OSError as error:
        raise SettingsError(_why(error, host, port)) from error


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"API_PORT: port {port} on {host} is in use: stop what listens there, or set another API_PORT"
        case errno.EACCES:
            return f"API_PORT: port {port} may not be opened by this user: set one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"API_HOST: {host} is no address of this machine: 127.0.0.1, or 0.0.0.0 for all of them"
        case _:
            return f"API_HOST and API_PORT: {host} port {port} cannot be opened ({error.strerror})"


def _tell(listener: socket.socket, ready: Callable[[str], None] | None) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.info("api_ready", url=url)
    if ready is not None:
        ready(url)
