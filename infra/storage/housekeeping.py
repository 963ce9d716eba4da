"""Tidying in the background of every worker: shortly after its start and then about every hour."""

import asyncio
import itertools
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from infra.jobs import janitor, scratch
from infra.jobs.ports import Store
from infra.settings import Settings

from . import leftovers
from .backends import directory_of

log = structlog.get_logger(__name__)

#: Seconds until the first time, and from one to the next, each give or take a half: workers started at once spread.
FIRST_S = 60.0
EVERY_S = 3600.0
#: A store's whole directory is walked only every so many times.
_WALK_EVERY = 24

Sleep = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def housekeeping(settings: Settings, store: Store) -> AsyncIterator[None]:
    """Keeps the store and this machine clean while the context is open."""
    stopping = threading.Event()
    task = asyncio.create_task(keep_clean(settings, store, stopping), name="housekeeping")
    try:
        yield
    finally:
        stopping.set()  # a thread cannot be cancelled
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keep_clean(
    settings: Settings, store: Store, stopping: threading.Event, *, sleep: Sleep = asyncio.sleep
) -> None:
    """Tidies for ever. What goes wrong is logged, and tried again the next time."""
    await sleep(_about(FIRST_S))
    for turn in itertools.count():
        removed: dict[str, Any] = {}
        for name, chore in _chores(settings, store, stopping, walk=turn % _WALK_EVERY == 0).items():
            try:
                removed |= await chore()
            except Exception as error:  # noqa: BLE001 - no error of tidying may end a worker, or the tidying
                log.warning("tidying_failed", what=name, error=f"{type(error).__name__}: {error}")
        if any(removed.values()):
            log.info("tidied", **{name: value for name, value in removed.items() if value})
        await sleep(_about(EVERY_S))


def _chores(
    settings: Settings, store: Store, stopping: threading.Event, *, walk: bool
) -> dict[str, Callable[[], Awaitable[dict[str, Any]]]]:
    """The machine first: it needs nobody, and the store may be away for long."""
    chores: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "this machine": lambda: asyncio.to_thread(_tidy_machine, settings),
    }
    directory = directory_of(settings.artifacts)
    if walk and directory is not None:
        chores["the store's directory"] = lambda: asyncio.to_thread(_tidy_directory, directory, stopping)
    chores["the store"] = lambda: _tidy_store(store)
    return chores


def _tidy_machine(settings: Settings) -> dict[str, Any]:
    cache = settings.cache_dir / "datasets"
    abandoned = leftovers.sweep_copies(cache)
    forgotten = leftovers.shrink(cache, settings.cache_max_gb)
    return {
        "work_folders": scratch.sweep(settings.work_dir),
        "half_copies": abandoned.files,
        "cached_datasets": forgotten.files,
        "megabytes": round((abandoned.size + forgotten.size) / 1e6),
    }


def _tidy_directory(directory: Path, stopping: threading.Event) -> dict[str, Any]:
    return {"half_uploads": leftovers.sweep_uploads(directory, stopping.is_set).files}


async def _tidy_store(store: Store) -> dict[str, Any]:
    swept = await janitor.sweep(store)
    return {"attempts": swept.attempts, "checkpoints": swept.checkpoints, "keys": swept.keys}


def _about(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards nothing
