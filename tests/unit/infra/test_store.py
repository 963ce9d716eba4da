"""The store on disk: what goes in comes out, one creator wins, and every failure of the storage is a StoreError."""

import asyncio
import hashlib
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from events.errors import OmniScopeError
from infra.jobs.ports import StoreError
from infra.storage.store import ObjectStore, checked


@pytest.fixture
def store(tmp_path):
    return ObjectStore.open(str(tmp_path / "store"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_what_is_put_can_be_had_again(store):
    assert await store.get("jobs/a/x.json") is None
    await store.put("jobs/a/x.json", b"1")
    await store.put("jobs/a/x.json", b"2")
    assert await store.get("jobs/a/x.json") == b"2"


async def test_create_never_overwrites(store):
    assert await store.create("a/b", b"first")
    assert not await store.create("a/b", b"second")
    assert await store.get("a/b") == b"first"


async def test_a_list_is_of_a_folder_not_of_a_beginning(store):
    for key in ("jobs/b/2", "jobs/b/1/z", "jobs/bb/1", "jobs/b.txt"):
        await store.put(key, b"")
    assert await store.list("jobs/b") == ["jobs/b/1/z", "jobs/b/2"]
    assert await store.list("nothing/here") == []


async def test_delete_all_takes_the_folder_and_nothing_beside(store, tmp_path):
    for key in ("jobs/b/2", "jobs/b/1/z", "jobs/bb/1"):
        await store.put(key, b"")
    assert await store.delete_all("jobs/b") == 2
    assert await store.delete_all("jobs/b") == 0
    assert await store.list("jobs") == ["jobs/bb/1"]
    assert not (tmp_path / "store/jobs/b").exists()


async def test_a_directory_survives_the_round_trip(store, tmp_path):
    files = {
        "zero": b"",
        "with space.txt": b"1",
        "100%20.bin": b"2",
        "über/ß✓.txt": b"3",
        ".hidden/.file": b"4",
        "large": os.urandom(3_000_000),
    }
    source = tmp_path / "source"
    for name, data in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    (source / "empty/inside").mkdir(parents=True)
    told = await store.upload(source, "models/m/1")
    assert {name: told[name] for name in files} == {name: sha256(data) for name, data in files.items()}
    for listed in (None, told):
        target = tmp_path / f"target-{listed is None}"
        await store.download("models/m/1", target, listed)
        assert {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()} == files
        assert (target / "empty/inside").is_dir()


async def test_a_file_that_was_changed_is_named_and_not_left_behind(store, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/weights").write_bytes(b"good")
    told = await store.upload(tmp_path / "source", "models/m")
    await store.put("models/m/weights", b"evil")
    with pytest.raises(OmniScopeError, match=r"models/m/weights .*SHA-256") as refused:
        await store.download("models/m", tmp_path / "target", told)
    assert refused.value.reason == "sha256_mismatch"
    assert not (tmp_path / "target/weights").exists()


async def test_a_file_that_is_gone_is_named(store, tmp_path):
    with pytest.raises(OmniScopeError, match="models/m/weights") as refused:
        await store.download("models/m", tmp_path / "target", {"weights": sha256(b"")})
    assert refused.value.reason == "file_missing"


async def test_links_stay_inside_the_directory(store, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "real").write_bytes(b"data")
    (source / "inside").symlink_to("real")
    assert await store.upload(source, "a") == {"inside": sha256(b"data"), "real": sha256(b"data")}
    (source / "outside").symlink_to("/etc/passwd")
    with pytest.raises(OmniScopeError, match="outside"):
        await store.upload(source, "b")
    assert await store.list("b") == []


@pytest.mark.parametrize("odd", ["fifo", "linked-directory", "state#1", "new\nline"])
async def test_what_cannot_be_kept_is_named(store, tmp_path, odd):
    source = tmp_path / "source"
    source.mkdir()
    if odd == "fifo":
        os.mkfifo(source / odd)
    elif odd == "linked-directory":
        (source / odd).symlink_to(tmp_path)
    else:
        (source / odd).write_text("")
    with pytest.raises(OmniScopeError, match="no file that can be kept"):
        await store.upload(source, "a")


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".", "a\0b", "a\nb", "x#1", "é" * 600]
)
async def test_a_key_that_could_lead_astray_is_refused(store, key, tmp_path):
    with pytest.raises(ValueError, match="key"):
        checked(key)
    for call in (store.get, store.list, store.delete_all, lambda k: store.put(k, b""), lambda k: store.create(k, b"")):
        with pytest.raises(ValueError, match="key"):
            await call(key)
    with pytest.raises(ValueError, match="key"):
        await store.download("a", tmp_path, {key: ""})


async def test_fifty_creators_in_threads_have_one_winner(tmp_path):
    def create(number: int) -> bool:
        return asyncio.run(ObjectStore.open(str(tmp_path)).create("outcome.json", str(number).encode()))

    with ThreadPoolExecutor(50) as pool:
        won = list(pool.map(create, range(50)))
    assert won.count(True) == 1
    assert (tmp_path / "outcome.json").read_text() == str(won.index(True))


CREATE_MANY = """
import asyncio, json, sys
from infra.storage.store import ObjectStore

async def create_all():
    store = ObjectStore.open(sys.argv[1])
    print(flush=True)
    sys.stdin.readline()
    return await asyncio.gather(*(store.create(f"jobs/{i}", sys.argv[2].encode()) for i in range(50)))

print(json.dumps(asyncio.run(create_all())))
"""


def test_fifty_races_of_four_processes_have_one_winner_each(tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE_MANY, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "\n"  # at the line
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = [json.loads(racer.communicate()[0]) for racer in racers]
    for race, outcomes in enumerate(zip(*won, strict=True)):
        assert outcomes.count(True) == 1
        assert (tmp_path / f"jobs/{race}").read_text() == str(outcomes.index(True))


async def test_creating_and_cleaning_up_side_by_side_lose_nothing(store):
    """Emptied directories are removed: that must not pull the floor from under a creator."""

    async def create_and_remove(number: int) -> bool:
        created = await store.create(f"jobs/one/attempts/{number}", b"1")
        return created and await store.delete_all(f"jobs/one/attempts/{number}") == 0

    assert all(await asyncio.gather(*(create_and_remove(n) for n in range(100))))
    for _ in range(20):
        await asyncio.gather(*(store.put(f"jobs/two/{n}", b"1") for n in range(10)), store.delete_all("jobs/two"))
        await asyncio.gather(*(store.put(f"jobs/two/{n}", b"2") for n in range(10)))
        assert len(await store.list("jobs/two")) == 10


async def test_the_root_is_closed_to_others(store, tmp_path):
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    assert ObjectStore.open(f"file://{tmp_path}/sto%72e") is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]


@pytest.mark.parametrize("uri", ["relative/path", "", "ftp://host/x"])
def test_an_address_that_is_no_place_is_refused(uri):
    with pytest.raises(ValueError, match="s3://bucket"):
        ObjectStore.open(uri)


async def test_failures_of_the_storage_are_store_errors(store, tmp_path):
    await store.put("a", b"")
    with pytest.raises(StoreError, match=r"cannot put a/b: .*Not a directory"):
        await store.put("a/b", b"")
    with pytest.raises(StoreError, match="cannot get a/b"):
        await store.get("a/b")
    with pytest.raises(StoreError, match="cannot open"):
        ObjectStore.open(str(tmp_path / "store/a/below"))
    (tmp_path / "source").mkdir()
    (tmp_path / "source/f").write_text("")
    with pytest.raises(StoreError, match="cannot upload a/f"):
        await store.upload(tmp_path / "source", "a")
    await store.put("m/f", b"")
    with pytest.raises(StoreError, match="cannot download m/f"):
        await store.download("m", tmp_path / "store/a")


async def test_s3_out_of_reach_is_a_store_error(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    store = ObjectStore.open("s3://bucket/prefix")
    with pytest.raises(StoreError, match="cannot put a: Generic S3 error"):
        await store.put("a", b"")


async def test_a_full_disk_is_a_store_error(store, tmp_path):
    full = Path("/dev/full")
    (tmp_path / "target").mkdir()
    (tmp_path / "target/f").symlink_to(full)
    await store.put("m/f", b"x" * 100_000)
    with pytest.raises(StoreError, match="No space left"):
        await store.download("m", tmp_path / "target")
