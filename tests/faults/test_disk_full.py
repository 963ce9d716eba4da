"""A full disk under a job, under the store and under the cache: all of it is waited out, none is the job's fault."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from execution_handlers import FOLDER, outcome, task_for
from support.lives import House, noop
from support.small_disks import MB, fill, fill_up, small_disk

from events.topics import JobKind
from handlers.registry import HandlerSpec
from infra.execution.full_disks import disk_ran_full
from infra.execution.local import LocalExecutor
from infra.jobs import space
from infra.jobs.faults import INFRASTRUCTURE
from infra.jobs.ports import StoreError
from infra.jobs.retries import PatientStore, patiently
from infra.storage.dataset_cache import DatasetCache
from infra.storage.store import ObjectStore


@pytest.fixture
def disk(tmp_path: Path) -> Any:
    with small_disk(tmp_path / "disk", 6) as place:
        yield place


@pytest.fixture
async def executor() -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(preload=("execution_handlers", "support.small_disks"), path=[FOLDER])
    await executor.start()
    yield executor
    await executor.stop()


def house_on(disk: Path, executor: LocalExecutor, handler: str, min_free_gb: float) -> House:
    house = House(disk)
    house.tools = replace(
        house.tools,
        executor=executor,
        handlers={JobKind.NOOP: HandlerSpec(f"support.small_disks:{handler}")},
        min_free_gb=min_free_gb,
    )
    return house


def carried_out(house: House) -> "asyncio.Task[None]":
    """The delivery in the hands of somebody who does not give up, as in an agent."""
    return asyncio.create_task(patiently(lambda: house.handle(noop()), "test", only=INFRASTRUCTURE))


@pytest.mark.parametrize("handler", ["write", "wrap", "lose"])
async def test_a_job_under_which_the_disk_runs_full_says_so_and_runs_again(disk, executor, handler, monkeypatch):
    monkeypatch.setattr(space, "LOOK_S", 0.5)
    house = house_on(disk, executor, handler, min_free_gb=0.0)
    ballast = fill(disk, 4)
    job = carried_out(house)
    await house.said(space.WAITING_FOR_SPACE)
    ballast.unlink()
    await job
    assert house.outcomes.names()[-1] == "ml.job.completed"
    attempt = house.outcomes.one("ml.job.completed").data["attempt"]
    assert attempt >= 2
    released = [
        f"jobs/job-1/attempts/{number}/released.json" in house.store.objects for number in range(1, attempt + 1)
    ]
    assert released == [True] * (attempt - 1) + [False]
    assert not (disk / "work/job-1").exists()


async def test_no_number_of_full_disks_uses_up_the_attempts(disk, executor, monkeypatch):
    monkeypatch.setattr(space, "LOOK_S", 0.1)
    house = house_on(disk, executor, "write", min_free_gb=0.0)
    ballast = fill(disk, 4)
    job = carried_out(house)
    await house.store.written("jobs/job-1/attempts/5/claim.json")
    ballast.unlink()
    await job
    assert house.outcomes.names()[-1] == "ml.job.completed"


async def test_without_room_a_job_waits_and_does_not_start(disk, executor, monkeypatch):
    monkeypatch.setattr(space, "LOOK_S", 0.1)
    house = house_on(disk, executor, "write", min_free_gb=0.0045)
    ballast = fill(disk, 4)
    job = carried_out(house)
    await house.said(space.WAITING_FOR_SPACE)
    assert house.outcomes.names() == []
    ballast.unlink()
    await job
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 1


async def test_a_job_that_fails_of_itself_is_not_tried_again(disk, executor):
    house = house_on(disk, executor, "refuse", min_free_gb=0.0)
    await house.handle(noop())
    assert house.outcomes.one("ml.job.failed").data["error"]["reason"] == "target_missing"


async def test_what_a_library_says_of_a_full_disk_crosses_the_pipe(executor, tmp_path):
    """Without a small disk, too."""
    final = await outcome(executor, task_for(tmp_path, "support.small_disks:claim"))
    assert (final.tag, final.infrastructure) == ("failed", True)


async def test_the_store_waits_and_leaves_no_halves(disk, tmp_path):
    store = ObjectStore.open(str(disk / "store"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_bytes(b"x" * 3 * MB)
    ballast = fill(disk, 5.5)
    with pytest.raises(StoreError, match="cannot upload models/m/weights"):
        await store.upload(tmp_path / "model", "models/m")
    assert await store.list("models") == []
    assert not [path for path in (disk / "store").rglob("*") if path.is_file()]
    fill_up(disk)
    with pytest.raises(StoreError, match="cannot create jobs/a"):
        await store.create("jobs/a", b"x" * 4096)
    assert await store.get("jobs/a") is None

    tried = asyncio.Event()

    async def pause(_: float) -> None:
        tried.set()
        await asyncio.sleep(0.05)

    kept = asyncio.create_task(PatientStore(store, sleep=pause).upload(tmp_path / "model", "models/m"))
    await tried.wait()
    ballast.unlink()
    assert list(await kept) == ["weights"]
    assert (disk / "store/models/m/weights").stat().st_size == 3 * MB


async def test_the_cache_waits_and_leaves_no_halves(disk, tmp_path):
    (tmp_path / "datasets").mkdir()
    data = b"x" * 3 * MB
    (tmp_path / "datasets/a").write_bytes(data)
    cache = DatasetCache(disk / "cache", [str(tmp_path / "datasets")])
    ballast = fill(disk, 5)
    with pytest.raises(StoreError, match="No space"):
        await cache.fetch(str(tmp_path / "datasets/a"), hashlib.sha256(data).hexdigest())
    assert list((disk / "cache").iterdir()) == []
    ballast.unlink()
    path = await cache.fetch(str(tmp_path / "datasets/a"), hashlib.sha256(data).hexdigest())
    assert path.stat().st_size == 3 * MB


def with_torch(folder: Path) -> None:
    import torch

    torch.save(torch.zeros(3 * MB), folder / "weights.pt")


def with_sqlite(folder: Path) -> None:
    with sqlite3.connect(folder / "trials.db") as database:
        database.execute("create table t (x blob)")
        database.execute("insert into t values (zeroblob(9000000))")


def with_arrow(folder: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    column = pyarrow.array(range(2 * MB))
    pyarrow.parquet.write_table(pyarrow.table({"x": column}), folder / "a.parquet", compression="none")


def with_numpy(folder: Path) -> None:
    import numpy

    numpy.save(folder / "a.npy", numpy.zeros(2 * MB))


def with_lightgbm(folder: Path) -> None:
    import lightgbm
    import numpy

    model = lightgbm.train(
        {"verbose": -1, "num_leaves": 200, "min_data_in_leaf": 1},
        lightgbm.Dataset(numpy.arange(2000.0).reshape(-1, 1), numpy.arange(2000.0) % 7),
        num_boost_round=400,
    )
    model.save_model(folder / "model.txt")
    if (folder / "model.txt").stat().st_size < MB:
        raise RuntimeError("half a model was written without a word")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sqlite3's context manager closes nothing
@pytest.mark.parametrize("save", [with_torch, with_sqlite, with_arrow, with_numpy, with_lightgbm])
def test_what_libraries_raise_on_a_full_disk_is_known_for_it(disk, save):
    fill(disk, 5.5)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each has a kind of its own
        save(disk)
    assert disk_ran_full(raised.value, disk), f"{raised.value!r}"
