"""Datasets on this machine: copied once, verified, read-only."""

import hashlib
import stat
import subprocess
import sys

import pytest

from events.errors import OmniScopeError
from infra.jobs.ports import StoreError
from infra.storage.dataset_cache import DatasetCache

DATA = b"gene,outcome\n" + b"1,2\n" * 500_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def file(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/a.csv").write_bytes(DATA)
    return tmp_path / "datasets/a.csv"


@pytest.fixture
def cache(tmp_path, file):
    return DatasetCache(tmp_path / "cache", [str(file.parent)])


async def test_a_file_is_copied_verified_and_closed_to_writing(cache, file):
    path = await cache.fetch(str(file), SHA256)
    assert path.read_bytes() == DATA
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [SHA256]


async def test_a_copy_outlives_its_original(cache, file):
    path = await cache.fetch(str(file), SHA256)
    file.unlink()
    assert await cache.fetch(str(file), SHA256) == path


async def test_a_damaged_copy_is_made_anew(cache, file):
    path = await cache.fetch(str(file), SHA256)
    path.chmod(0o600)
    path.write_bytes(DATA[:-1] + b"3")
    again = await cache.fetch(str(file), SHA256)
    assert again.read_bytes() == DATA
    assert [p.name for p in again.parent.iterdir()] == [SHA256]


async def test_a_file_that_was_changed_is_refused_and_not_handed_out(cache, file):
    file.write_bytes(b"other")
    with pytest.raises(OmniScopeError, match=r"a\.csv is no longer the one") as refused:
        await cache.fetch(str(file), SHA256)
    assert refused.value.reason == "dataset_changed"


async def test_admission_tells_hash_and_size(cache, file):
    admitted = await cache.admit(f"file://{file}")
    assert (admitted.sha256, admitted.size) == (SHA256, len(DATA))
    assert admitted.path.read_bytes() == DATA
    assert await cache.fetch(str(file), SHA256) == admitted.path


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.csv", "file_missing"), ("empty.csv", "file_empty"), ("../x.csv", "uri_outside_roots")],
)
async def test_what_cannot_be_a_dataset_is_refused_and_leaves_nothing(cache, file, tmp_path, name, reason):
    (file.parent / "empty.csv").touch()
    with pytest.raises(OmniScopeError) as refused:
        await cache.admit(f"{file.parent}/{name}")
    assert refused.value.reason == reason
    assert not list((tmp_path / "cache").glob("*"))


async def test_a_hash_that_is_none_is_refused(cache, file):
    with pytest.raises(ValueError, match="64"):
        await cache.fetch(str(file), "../a.csv")


async def test_a_cache_that_cannot_be_written_is_a_store_error(file, tmp_path):
    (tmp_path / "occupied").write_text("")
    with pytest.raises(StoreError, match="cannot copy"):
        await DatasetCache(tmp_path / "occupied", [str(file.parent)]).fetch(str(file), SHA256)


FETCH = """
import asyncio, sys
from pathlib import Path
from infra.storage.dataset_cache import DatasetCache
root, file, sha256 = sys.argv[1:]
print(asyncio.run(DatasetCache(Path(root), [str(Path(file).parent)]).fetch(file, sha256)))
"""


def test_several_processes_fetch_one_file(tmp_path, file):
    command = [sys.executable, "-c", FETCH, str(tmp_path / "cache"), str(file), SHA256]
    fetching = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    paths = {process.communicate()[0].strip() for process in fetching}
    assert paths == {str(tmp_path / "cache" / SHA256)}
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [SHA256]
