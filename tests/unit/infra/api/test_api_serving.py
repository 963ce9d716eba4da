"""The server on a real socket."""

import asyncio
import signal
import socket

import httpx
import pytest

from infra.api import serving, tokens
from infra.settings import SettingsError


@pytest.fixture
def local(settings):
    settings.make_data_dir()
    return settings.model_copy(update={"api_host": "127.0.0.1", "api_port": 0})


async def opened(settings, stop: asyncio.Event) -> tuple[asyncio.Task[None], str]:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving_task = asyncio.create_task(serving.serve(settings, stop, address.set_result))
    await asyncio.wait({serving_task, address}, return_when=asyncio.FIRST_COMPLETED)
    if serving_task.done():
        await serving_task
    return serving_task, address.result()


async def test_it_serves_until_told_to_stop(local) -> None:
    stop = asyncio.Event()
    handler = signal.getsignal(signal.SIGTERM)
    task, url = await opened(local, stop)
    assert signal.getsignal(signal.SIGTERM) is handler, "signals stay with the process it runs in"
    async with httpx.AsyncClient(base_url=url) as client:
        up = await client.get("/healthz")
        assert up.json() == {"status": "up"}
        assert "server" not in up.headers
        head = await client.head("/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == up.headers["content-length"]
        # Nobody in between is believed about where a request comes from.
        refused = await client.get("/api/ml/jobs", headers={"X-Forwarded-For": "10.0.0.1"})
        assert refused.status_code == 401
        stop.set()
        await task
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")


async def test_it_stops_in_good_order_when_cancelled(local) -> None:
    task, url = await opened(local, asyncio.Event())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_a_port_in_use_is_named(local) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"API_PORT: port {port} on 127.0.0.1 is in use"):
            await serving.serve(local.model_copy(update={"api_port": port}), asyncio.Event())


@pytest.mark.parametrize(
    ("host", "sentence"), [("192.0.2.1", "no address of this machine"), ("no.such.invalid", "no known host")]
)
def test_a_host_that_is_not_ours_is_named(host: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=f"API_HOST: {host} is {sentence}"):
        serving.listen(host, 0)


def test_answers_are_not_held_back_for_acknowledgements() -> None:
    """An accepted socket takes it from the listener; with Nagle's algorithm an answer takes 40 ms."""
    with serving.listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_without_a_usable_key_it_does_not_start(local, tmp_path) -> None:
    broken = local.model_copy(update={"api_jwt_secret": None, "api_jwks": str(tmp_path / "none.json")})
    with pytest.raises(SettingsError, match="API_JWKS"):
        await serving.serve(broken, asyncio.Event())


async def test_the_secret_it_makes_is_the_one_tokens_are_signed_with(local) -> None:
    fresh = local.model_copy(update={"api_jwt_secret": None})
    stop = asyncio.Event()
    task, url = await opened(fresh, stop)
    async with httpx.AsyncClient(base_url=url) as client:
        token = tokens.issue(fresh, "ada")
        answer = await client.get("/api/ml/jobs", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 503, "let in, though there are no tables yet"
    stop.set()
    await task
