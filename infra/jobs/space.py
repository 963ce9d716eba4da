"""Room on the worker's disk: a job begins only where there is some, and one that ran out of it begins again."""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from infra.execution.executor import ExecutorError

log = structlog.get_logger(__name__)

WAITING_FOR_SPACE = "Waiting for space on the worker's disk"
#: Seconds between two looks.
LOOK_S = 2.0

Sleep = Callable[[float], Awaitable[None]]


class NoSpace(ExecutorError):
    """The worker's disk ran full under a job, which is no fault of the job."""


class DiskSpace:
    """The disk that holds the folder `place`, and how much of it must be free: `min_free_gb`, zero for any amount."""

    def __init__(self, place: Path, min_free_gb: float = 0.0, *, sleep: Sleep = asyncio.sleep) -> None:
        self._place = place
        self._min_free_gb = min_free_gb
        self._sleep = sleep

    def is_short(self) -> bool:
        """Whether there is too little room to begin anything."""
        if not self._min_free_gb:
            return False
        there = next(folder for folder in (self._place, *self._place.parents) if folder.exists())
        return shutil.disk_usage(there).free / 1e9 < self._min_free_gb

    async def wait(self, tell: Callable[[], Awaitable[None]] | None = None) -> None:
        """Returns when there is room. `tell` is called once if there is none yet."""
        if not self.is_short():
            return
        log.warning("no_space", folder=str(self._place), wanted_gb=self._min_free_gb)
        if tell is not None:
            await tell()
        while self.is_short():
            await self._pause()
        log.info("space_again", folder=str(self._place))

    async def recover(self) -> None:
        """After the disk ran full: a moment at least, so that not all who were stopped begin again at once."""
        await self._pause()
        await self.wait()

    async def _pause(self) -> None:
        await self._sleep(LOOK_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
