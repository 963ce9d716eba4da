"""Where an attempt works: its dataset stays whatever the cache does, its checkpoint never harms it."""

import errno
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.fakes import MemoryStore

from events.errors import OmniScopeError, ReasonCode
from events.outcomes import DatasetRegistered
from infra.jobs.workplace import Workplace
from infra.storage.dataset_cache import DatasetCache
from infra.storage.store import ObjectStore

DATA = b"gene,outcome\n1,2\n"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/a.csv").write_bytes(DATA)
    return DatasetRegistered(
        dataset_id="d",
        name="a.csv",
        uri=str(tmp_path / "datasets/a.csv"),
        format="csv",
        sha256=SHA256,
        size_bytes=len(DATA),
        n_rows=1,
        n_columns=2,
        n_missing=0,
        columns=[],
        registered_at=datetime.now(UTC),
    )


@pytest.fixture
def cache(tmp_path):
    return DatasetCache(tmp_path / "cache", [str(tmp_path / "datasets")])


def place(tmp_path, cache=None, store=None, attempt=1):
    return Workplace(tmp_path / "work", store or MemoryStore(), cache, "job", attempt)


async def test_the_dataset_is_the_attempts_own_and_outlives_the_caches_copy(tmp_path, dataset, cache):
    async with place(tmp_path, cache) as here:
        file = await here.dataset(dataset)
        copy = tmp_path / "cache" / SHA256
        assert file.path.is_relative_to(tmp_path / "work/job/1")
        assert file.path.samefile(copy), "the bytes were copied"
        copy.unlink()
        assert file.path.read_bytes() == DATA
    assert not (tmp_path / "work/job").exists()


async def test_a_copy_that_goes_before_it_is_linked_is_fetched_again(tmp_path, dataset, cache):
    fetch, paths = cache.fetch, []

    async def fetch_and_forget(uri: str, sha256: str) -> Path:
        path = await fetch(uri, sha256)
        paths.append(path)
        if len(paths) == 1:
            path.unlink()
        return path

    cache.fetch = fetch_and_forget
    async with place(tmp_path, cache) as here:
        assert (await here.dataset(dataset)).path.read_bytes() == DATA
    assert len(paths) == 2


@pytest.mark.parametrize("code", ["EXDEV", "EPERM", "EMLINK"])
async def test_where_no_link_can_be_made_there_is_a_copy(tmp_path, dataset, cache, monkeypatch, code):
    def refuse(source: Path, target: Path) -> None:
        raise OSError(getattr(errno, code), "no")

    monkeypatch.setattr(os, "link", refuse)
    async with place(tmp_path, cache) as here:
        path = (await here.dataset(dataset)).path
        assert path.read_bytes() == DATA
        assert path.stat().st_nlink == 1


async def test_the_next_attempt_begins_with_the_last_checkpoint(tmp_path):
    store = ObjectStore.open(str(tmp_path / "store"))
    async with place(tmp_path, store=store) as first:
        for epoch in ("1", "2"):
            (first.keep / "epoch").write_text(epoch)
            await first.save_checkpoint()
    assert await store.list("jobs/job/checkpoints") == [
        "jobs/job/checkpoints/1-2/epoch",
        "jobs/job/checkpoints/latest.json",
    ]
    async with place(tmp_path, store=store, attempt=2) as second:
        assert (second.keep / "epoch").read_text() == "2"


async def test_an_attempt_given_up_for_dead_does_not_undo_a_later_ones_work(tmp_path):
    store = ObjectStore.open(str(tmp_path / "store"))
    async with place(tmp_path, store=store) as zombie, place(tmp_path, store=store, attempt=2) as later:
        (later.keep / "epoch").write_text("9")
        await later.save_checkpoint()
        (zombie.keep / "epoch").write_text("3")
        await zombie.save_checkpoint()
    async with place(tmp_path, store=store, attempt=3) as third:
        assert (third.keep / "epoch").read_text() == "9"
    assert await store.list("jobs/job/checkpoints/1-1") == []


@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_a_checkpoint_that_cannot_be_had_costs_time_and_not_the_job(tmp_path, damage):
    store = ObjectStore.open(str(tmp_path / "store"))
    async with place(tmp_path, store=store) as first:
        for name in ("a", "b"):
            (first.keep / name).write_text(name)
        await first.save_checkpoint()
    if damage == "gone":
        await store.delete_all("jobs/job/checkpoints/1-1")
    else:
        await store.put("jobs/job/checkpoints/1-1/b", b"other")
    async with place(tmp_path, store=store, attempt=2) as second:
        assert list(second.keep.iterdir()) == []
        assert second.out.is_dir()


async def test_a_checkpoint_that_moves_while_it_is_fetched_is_fetched_where_it_is_now(tmp_path):
    store = MemoryStore()

    async def point_to(folder: str) -> None:
        await store.put("jobs/job/checkpoints/latest.json", json.dumps({"folder": folder, "files": {}}).encode())

    download = store.download

    async def moved(prefix, directory, files=None):
        if prefix.endswith("1-1"):
            await point_to("jobs/job/checkpoints/1-2")
            raise OmniScopeError(ReasonCode.FILE_MISSING, "gone")
        await download(prefix, directory, files)

    store.download = moved
    await point_to("jobs/job/checkpoints/1-1")
    await store.put("jobs/job/checkpoints/1-2/epoch", b"2")
    async with place(tmp_path, store=store, attempt=2) as second:
        assert (second.keep / "epoch").read_text() == "2"
