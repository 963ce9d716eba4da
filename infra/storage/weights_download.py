"""One file from a web server, hashed on its way. What goes wrong is told as a piece of a sentence."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.jobs.ports import Fetching

from .errors import told_as_store_error

#: Whoever has no network shall hear of it soon; a server that was reached may take its time.
_TIMEOUT = httpx.Timeout(10.0, connect=2.0)
_CHUNK = 1024 * 1024
_LARGEST_CONFIG = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class NotThere(Exception):
    """Nothing was received. The message ends a sentence: «…, and `message`». `status`: what the server answered."""

    def __init__(self, message: str, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Received:
    """A file that was received whole. `published`: its SHA-256 as the server told it, where it did."""

    sha256: str
    size: int
    published: str | None


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client for a few requests: proxies and certificates as the environment tells them."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "omniscope-ml"}  # the bytes as they are hashed
    async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=True, headers=headers) as opened:
        yield opened


async def receive(asking: httpx.AsyncClient, url: str, target: Path, tell: Fetching) -> Received:
    """Writes what is at `url` into `target`, and calls `tell` with the bytes so far and in all.

    Raises:
        NotThere: the server cannot be reached, has no such file, or broke off.
        StoreError: the file cannot be written.
    """
    async with _answer(asking, url) as response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        digest, size = hashlib.sha256(), 0
        with told_as_store_error(f"write {target}"), target.open("wb") as file:
            async for chunk in response.aiter_raw(_CHUNK):
                await asyncio.to_thread(digest.update, chunk)
                await asyncio.to_thread(file.write, chunk)
                size += len(chunk)
                tell(size, total)
        if total is not None and size != total:
            raise NotThere(f"the download broke off after {size:,} of {total:,} bytes")
        return Received(digest.hexdigest(), size, _published(response))


async def receive_small(asking: httpx.AsyncClient, url: str) -> bytes | None:
    """What is at `url`, if that is something and not too large.

    Raises:
        NotThere: the server cannot be reached, or broke off.
    """
    data = bytearray()
    try:
        async with _answer(asking, url) as response:
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > _LARGEST_CONFIG:
                    return None
    except NotThere as missing:
        if missing.status is None:
            raise
        return None
    return bytes(data)


@asynccontextmanager
async def _answer(asking: httpx.AsyncClient, url: str) -> AsyncIterator[httpx.Response]:
    try:
        async with asking.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                code = response.headers.get("X-Error-Code", "")
                raise NotThere(f"{_host(url)} answers {response.status_code} for {url}", response.status_code, code)
            yield response
    except (httpx.ConnectTimeout, httpx.ConnectError):
        raise NotThere(f"{_host(url)} cannot be reached") from None
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise NotThere(f"the download from {_host(url)} broke off ({type(error).__name__})") from error


def _host(url: str) -> str:
    return httpx.URL(url).host


def _published(response: httpx.Response) -> str | None:
    """The SHA-256 that the hub tells of a large file, before it sends us elsewhere for the bytes."""
    answers = [*response.history, response]
    told = [answer.headers.get(name, "") for name in ("X-Linked-ETag", "ETag") for answer in answers]
    bare = (value.removeprefix("W/").strip('"') for value in told)
    return next((value for value in bare if _SHA256.match(value)), None)
