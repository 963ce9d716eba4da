"""What doctor says of leftovers."""

import os
import time

import pytest

from events.identifiers import model_id_of
from infra.cli import leftover_checks
from infra.jobs.scratch import scratch
from infra.settings import Settings
from infra.storage.store import ObjectStore


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, cache_max_gb=0.001)


def age(folder, hours: float) -> None:
    for path in folder.rglob("*"):
        then = time.time() - hours * 3600
        os.utime(path, (then, then))


async def test_files_that_do_not_count_are_told_of_and_wrong_only_when_nobody_came_for_them(settings, tmp_path):
    store = ObjectStore.open(settings.artifacts)
    await store.put("jobs/job/outcome.json", b'{"artifacts": null}')
    await store.put(f"models/{model_id_of('job')}/attempt-1/a", b"")
    await store.put("jobs/job/checkpoints/1-1/a", b"")
    await store.put("models/of-nobody/attempt-1/a", b"")
    young = await leftover_checks.in_the_store(settings)
    assert young.ok
    assert (
        "1 attempt that did not count and 1 old checkpoint; 1 model of no job known here, e.g. of-nobody" in young.fact
    )
    age(tmp_path / "artifacts", hours=4)
    overdue = await leftover_checks.in_the_store(settings)
    assert overdue.fact == young.fact
    assert "worker running" in overdue.remedy


async def test_a_store_that_takes_too_long_is_no_fault(settings, monkeypatch):
    await ObjectStore.open(settings.artifacts).put("models/m/attempt-1/a", b"")
    monkeypatch.setattr(leftover_checks, "_LOOK_S", 0.0)
    found = await leftover_checks.in_the_store(settings)
    assert found.ok
    assert "too large" in found.fact


async def test_s3_out_of_reach_is_said_in_time(settings, monkeypatch):
    for name, value in (("ENDPOINT_URL", "http://127.0.0.1:1"), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    found = await leftover_checks.in_the_store(Settings(data_dir=settings.data_dir, artifacts_uri="s3://bucket/x"))
    assert "cannot list models" in found.fact
    assert "ARTIFACTS_URI" in found.remedy


async def test_the_cache_is_held_against_its_bound(settings):
    cache = settings.cache_dir / "datasets"
    assert (await leftover_checks.on_this_machine(settings)).ok
    cache.mkdir(parents=True)
    (cache / "a").write_bytes(b"x" * 900_000)
    assert (await leftover_checks.on_this_machine(settings)).ok
    (cache / "b").write_bytes(b"x" * 900_000)
    found = await leftover_checks.on_this_machine(settings)
    assert "0.0 GB of CACHE_MAX_GB = 0.001" in found.fact
    assert found.remedy


async def test_what_the_dead_left_is_told_and_what_the_living_use_is_not(settings):
    cache = settings.cache_dir / "datasets"
    cache.mkdir(parents=True)
    with scratch(settings.work_dir):
        assert (await leftover_checks.on_this_machine(settings)).ok
        (settings.work_dir / "of-a-dead-worker").mkdir()
        (cache / ".incoming-1").touch()
        age(cache, hours=1)
        found = await leftover_checks.on_this_machine(settings)
    assert found.fact.endswith("; 1 unfinished file; 1 dead worker's folder")
    assert found.remedy
