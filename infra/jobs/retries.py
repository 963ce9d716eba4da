"""Patience with infrastructure: what fails for no fault of the job is tried again, for as long as it takes."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import structlog

from .ports import Store, StoreError

log = structlog.get_logger(__name__)

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]


async def patiently(
    attempt: Callable[[], Awaitable[T]],
    what: str,
    *,
    only: type[Exception] | tuple[type[Exception], ...],
    longest: float = 30.0,
    sleep: Sleep = asyncio.sleep,
) -> T:
    """Calls `attempt` until it does not raise `only`, with exponential backoff and full jitter.

    It ends by success or by cancellation: a job whose partition is lost is cancelled, the rest can wait.
    Source of the jitter: M. Brooker, "Exponential Backoff and Jitter", 2015.
    """
    pause = 0.1
    while True:
        try:
            return await attempt()
        except only as error:
            log.warning("trying_again", what=what, error=str(error), within_s=pause)
            await sleep(random.uniform(0, pause))  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, longest)


class PatientStore:
    """A store that does not give up: every method waits out StoreError."""

    def __init__(self, store: Store, *, sleep: Sleep = asyncio.sleep) -> None:
        self._store = store
        self._sleep = sleep

    async def create(self, key: str, data: bytes) -> bool:
        return await self._wait_out(lambda: self._store.create(key, data), f"create {key}")

    async def put(self, key: str, data: bytes) -> None:
        await self._wait_out(lambda: self._store.put(key, data), f"put {key}")

    async def get(self, key: str) -> bytes | None:
        return await self._wait_out(lambda: self._store.get(key), f"get {key}")

    async def list(self, prefix: str) -> list[str]:
        return await self._wait_out(lambda: self._store.list(prefix), f"list {prefix}")

    async def delete(self, key: str) -> None:
        await self._wait_out(lambda: self._store.delete(key), f"delete {key}")

    async def delete_all(self, prefix: str) -> int:
        return await self._wait_out(lambda: self._store.delete_all(prefix), f"delete {prefix}")

    async def upload(self, directory: Path, prefix: str) -> dict[str, str]:
        return await self._wait_out(lambda: self._store.upload(directory, prefix), f"upload {prefix}")

    async def download(self, prefix: str, directory: Path, files: Mapping[str, str] | None = None) -> None:
        await self._wait_out(lambda: self._store.download(prefix, directory, files), f"download {prefix}")

    async def _wait_out(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        return await patiently(attempt, what, only=StoreError, sleep=self._sleep)
