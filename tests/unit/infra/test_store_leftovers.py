"""What is left over on this machine's disk goes; what somebody uses or writes stays."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.storage import leftovers
from infra.storage.dataset_cache import DatasetCache
from infra.storage.leftovers import Removed
from infra.storage.store import ObjectStore

MB = 1_000_000
MANY_MB_AS_GB = 0.0025
"""2.5 MB."""


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def copy(cache: Path, name: str, unused_s: float) -> Path:
    path = cache / name
    path.write_bytes(b"x" * MB)
    used = time.time() - unused_s
    os.utime(path, (used, used))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_unused_for_longest_goes_first_and_no_more_than_must(cache):
    for name, age in (("old", 4000), ("oldest", 5000), ("new", 3000), ("newest", 2000)):
        copy(cache, name, age)
    assert leftovers.shrink(cache, MANY_MB_AS_GB) == Removed(2, 2 * MB)
    assert names(cache) == ["new", "newest"]
    assert leftovers.shrink(cache, MANY_MB_AS_GB) == Removed()


def test_what_a_job_uses_stays_and_what_was_just_asked_for_too(cache, tmp_path):
    (tmp_path / "of-a-job").hardlink_to(copy(cache, "used", 9000))
    copy(cache, "unused", 8000)
    copy(cache, "just-fetched", 0)
    assert leftovers.shrink(cache, 1e-9) == Removed(1, MB)
    assert names(cache) == ["just-fetched", "used"]
    (tmp_path / "of-a-job").unlink()
    leftovers.shrink(cache, 1e-9)
    assert names(cache) == ["just-fetched"]


def test_without_a_bound_or_a_cache_nothing_goes(cache, tmp_path):
    copy(cache, "old", 9000)
    assert leftovers.shrink(cache, 0) == Removed()
    assert leftovers.shrink(tmp_path / "nowhere", 1) == leftovers.sweep_copies(tmp_path / "nowhere") == Removed()


async def test_a_fetch_counts_as_use_and_a_copy_makes_room(tmp_path):
    (tmp_path / "datasets").mkdir()
    cache = DatasetCache(tmp_path / "cache", [str(tmp_path / "datasets")], MANY_MB_AS_GB)
    copies = {}
    for name in "abcd":
        file = tmp_path / "datasets" / name
        file.write_bytes(name.encode() * MB)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        if name == "d":
            await cache.fetch(str(tmp_path / "datasets/a"), copies["a"].name)  # asked for again
        copies[name] = await cache.fetch(str(file), sha256)
        long_ago = time.time() - 5000 + 100 * len(copies)
        if name != "d":
            os.utime(copies[name], (long_ago, long_ago))
    assert {name for name, path in copies.items() if path.exists()} == {"a", "d"}


WRITE = """
import sys, time
from pathlib import Path
from infra.storage.dataset_cache import _incoming
with _incoming(Path(sys.argv[1])) as (file, name):
    print(name, flush=True)
    time.sleep(600)
"""


def test_a_copy_is_taken_away_only_when_its_writer_is_dead(cache):
    with subprocess.Popen([sys.executable, "-c", WRITE, str(cache)], stdout=subprocess.PIPE, text=True) as writer:
        name = Path(writer.stdout.readline().strip())
        os.utime(name, (0, 0))
        assert leftovers.sweep_copies(cache) == Removed()
        assert name.exists()
        writer.kill()
        writer.wait()
        assert leftovers.sweep_copies(cache).files == 1
    assert names(cache) == []


def test_a_copy_that_was_begun_a_moment_ago_is_not_taken_for_a_dead_ones(cache):
    (cache / ".incoming-x").touch()  # made, and not locked yet
    assert leftovers.sweep_copies(cache) == Removed()


async def test_half_uploads_of_yesterday_go_and_nothing_that_is_a_key(tmp_path):
    store = ObjectStore.open(str(tmp_path))
    keys = ["models/m/attempt-1/a", "models/m/attempt-1/b#c", "jobs/x#1y"]
    for key in keys:
        await store.put(key, b"1")
    for name in ("models/m/attempt-1/weights#1", "jobs/half#22", "jobs/young#3"):
        (tmp_path / name).write_bytes(b"half")
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "young#3":
            os.utime(path, (0, 0))
    assert [path.name for path in leftovers.abandoned_uploads(tmp_path, lambda: True)] == []
    assert leftovers.sweep_uploads(tmp_path) == Removed(2, 8)
    assert (tmp_path / "jobs/young#3").exists()
    assert sorted(await store.list("models") + await store.list("jobs")) == sorted(keys)


async def test_jobs_and_tidying_side_by_side_never_lose_a_file(tmp_path):
    """A cache far too small, tidied without a pause, while jobs fetch, link and read."""
    from infra.jobs.staging import staged

    (tmp_path / "datasets").mkdir()
    wanted = {}
    for number in range(6):
        data = f"{number}\n".encode() * 1000
        (tmp_path / f"datasets/{number}").write_bytes(data)
        wanted[number] = hashlib.sha256(data).hexdigest()
    cache = DatasetCache(tmp_path / "cache", [str(tmp_path / "datasets")], 1e-9)
    done = asyncio.Event()

    async def tidy() -> None:
        while not done.is_set():
            for path in await asyncio.to_thread(leftovers.copies, tmp_path / "cache"):
                path.path.unlink(missing_ok=True)  # harsher than `shrink`, which spares what is new

    async def job(number: int) -> None:
        for turn in range(5):
            which = (number + turn) % len(wanted)
            path = await staged(
                lambda which=which: cache.fetch(str(tmp_path / f"datasets/{which}"), wanted[which]),
                tmp_path / f"job-{number}",
                "fetch",
            )
            await asyncio.sleep(0)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == wanted[which]

    tidying = asyncio.create_task(tidy())
    await asyncio.gather(*map(job, range(6)))
    done.set()
    await tidying
