"""Tidying in the background: soon, then about every hour, whatever goes wrong, and in nobody's way."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs
from support.fakes import MemoryStore

from events.identifiers import model_id_of
from infra.jobs import scratch
from infra.jobs.ports import StoreError
from infra.settings import Settings
from infra.storage import housekeeping


class Clock:
    """Time that passes by being waited for, `turns` times."""

    def __init__(self, turns: int) -> None:
        self.waits: list[float] = []
        self.over = asyncio.Event()
        self._turns = turns

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) > self._turns:
            self.over.set()
            await asyncio.Event().wait()


async def tidied(settings: Settings, store: object, turns: int) -> tuple[Clock, list[dict]]:
    clock = Clock(turns)
    with capture_logs() as told:
        task = asyncio.create_task(housekeeping.keep_clean(settings, store, threading.Event(), sleep=clock.sleep))
        await asyncio.wait([task, asyncio.create_task(clock.over.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), "the tidying has ended"
        task.cancel()
    return clock, told


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path)


async def litter(store: MemoryStore, settings: Settings) -> None:
    await store.put("jobs/job/outcome.json", b'{"artifacts": null}')
    await store.put(f"models/{model_id_of('job')}/attempt-1/a", b"")
    (settings.work_dir / "of-a-dead-worker").mkdir(parents=True)


async def test_it_tidies_everything_and_says_so_in_one_line(settings):
    store = MemoryStore()
    await litter(store, settings)
    clock, told = await tidied(settings, store, 2)
    assert [line for line in told if line["event"] == "tidied"] == [
        {"event": "tidied", "log_level": "info", "work_folders": 1, "attempts": 1, "keys": 1}
    ]
    assert list(settings.work_dir.iterdir()) == []
    first, *rest = clock.waits
    assert 0 < first <= 90
    assert all(1800 <= wait <= 5400 for wait in rest)


async def test_no_error_ends_it_or_keeps_it_from_the_rest(settings, monkeypatch):
    store, lists = MemoryStore(), []
    await litter(store, settings)
    real = store.list

    async def broken_at_first(prefix: str) -> list[str]:
        lists.append(prefix)
        if len(lists) == 1:
            raise StoreError("cannot list models: gone")
        return await real(prefix)

    def broken(_: object) -> int:
        raise RuntimeError("a bug")

    store.list = broken_at_first
    monkeypatch.setattr(scratch, "sweep", broken)
    _, told = await tidied(settings, store, 2)
    failed = [(line["what"], line["error"]) for line in told if line["event"] == "tidying_failed"]
    assert ("the store", "StoreError: cannot list models: gone") in failed
    assert failed.count(("this machine", "RuntimeError: a bug")) == 2
    assert await real("models") == []


async def test_it_does_not_hold_up_a_worker_that_stops(settings, monkeypatch):
    """Neither while it waits, nor in the middle of a walk through a large directory."""
    walking, ended, seen = threading.Event(), threading.Event(), []

    def endless(directory: object, stopped: object) -> object:
        walking.set()
        seen.append(stopped.__self__.wait(60))
        ended.set()
        return housekeeping.leftovers.Removed()

    monkeypatch.setattr(housekeeping.leftovers, "sweep_uploads", endless)
    monkeypatch.setattr(housekeeping, "FIRST_S", 0.0)
    async with housekeeping.housekeeping(settings, MemoryStore()):
        await asyncio.to_thread(walking.wait, 60)
    await asyncio.to_thread(ended.wait, 60)
    assert seen == [True]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "housekeeping"]
