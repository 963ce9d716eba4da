"""What the janitor takes out of the store, and above all what it leaves there."""

import asyncio
import json

import pytest
from support.fakes import MemoryStore

from events.identifiers import model_id_of
from events.outcomes import JobStatus
from infra.jobs.arbiter import Outcome
from infra.jobs.janitor import find, sweep
from infra.storage.store import ObjectStore


class Counting(MemoryStore):
    """A store that notes which values are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def get(self, key: str) -> bytes | None:
        self.read.append(key)
        return await super().get(key)


@pytest.fixture
def store() -> Counting:
    return Counting()


async def put(store, *keys: str) -> None:
    for key in keys:
        await store.put(key, b"{}")


async def started(store, job_id: str, attempts: int = 1) -> str:
    """A job that was started so often; the folder of its model."""
    await put(store, f"jobs/{job_id}/request.json")
    await put(store, *(f"jobs/{job_id}/attempts/{n + 1}/claim.json" for n in range(attempts)))
    return f"models/{model_id_of(job_id)}"


async def ended(store, job_id: str, status: JobStatus, attempt: int, artifacts: str | None = None) -> None:
    outcome = Outcome(job_id=job_id, status=status, attempt=attempt, artifacts=artifacts, events=[])
    await store.put(f"jobs/{job_id}/outcome.json", outcome.model_dump_json().encode())


async def completed(store, job_id: str, attempts: int, winner: int) -> str:
    """A completed job of which every attempt has left files."""
    model = await started(store, job_id, attempts)
    await put(store, *(f"{model}/attempt-{n + 1}/model/weights" for n in range(attempts)))
    await ended(store, job_id, JobStatus.COMPLETED, winner, f"{model}/attempt-{winner}")
    await put(store, f"{model}/record.json")
    return model


async def test_files_of_attempts_that_did_not_win_go_and_the_winners_stay(store):
    model = await completed(store, "job", attempts=3, winner=2)
    await put(store, f"{model}/used_by/another")
    swept = await sweep(store)
    assert (swept.attempts, swept.keys) == (2, 2)
    assert await store.list("models") == [
        f"{model}/attempt-2/model/weights",
        f"{model}/record.json",
        f"{model}/used_by/another",
    ]


async def test_a_completed_job_that_nobody_has_told_of_yet_keeps_its_model(store):
    model = await completed(store, "job", attempts=1, winner=1)
    del store.objects[f"{model}/record.json"]
    before = dict(store.objects)
    await sweep(store)
    assert store.objects == before


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_a_job_that_made_nothing_keeps_no_files(store, status):
    model = await started(store, "job", 2)
    await put(store, f"{model}/attempt-1/a", f"{model}/attempt-2/a", f"{model}/used_by/another")
    await ended(store, "job", status, 2)
    assert (await sweep(store)).attempts == 2
    assert await store.list("models") == [f"{model}/used_by/another"]


async def test_while_a_job_has_no_end_every_attempt_may_be_the_one(store):
    model = await started(store, "job", 3)
    await put(store, *(f"{model}/attempt-{n}/a" for n in (1, 2, 3)))
    before = dict(store.objects)
    await sweep(store)
    assert store.objects == before


async def test_checkpoints_of_an_ended_job_go(store):
    await started(store, "job")
    await put(store, "jobs/job/checkpoints/1-1/a/b", "jobs/job/checkpoints/latest.json")
    await ended(store, "job", JobStatus.FAILED, 1)
    swept = await sweep(store)
    assert (swept.checkpoints, swept.keys) == (1, 2)
    assert await store.list("jobs/job/checkpoints") == []
    assert await store.get("jobs/job/outcome.json") is not None


async def test_of_a_running_job_only_saves_that_nothing_can_point_to_any_more_go(store):
    await started(store, "job", 3)
    keys = [f"jobs/job/checkpoints/{save}/a" for save in ("1-1", "2-7", "2-8", "3-1", "odd")]
    await put(store, *keys)
    told = {"folder": "jobs/job/checkpoints/2-7", "files": {}}
    await store.put("jobs/job/checkpoints/latest.json", json.dumps(told).encode())
    await sweep(store)
    left = [key for key in await store.list("jobs/job/checkpoints") if not key.endswith("latest.json")]
    # 3-1 is being written by the attempt at work, 2-7 is what it would begin with.
    assert left == [f"jobs/job/checkpoints/{save}/a" for save in ("2-7", "3-1", "odd")]


async def test_models_of_no_job_are_told_of_and_left_alone(store):
    await completed(store, "job", attempts=1, winner=1)
    await put(store, "models/from-elsewhere/attempt-1/a", "models/from-elsewhere/attempt-2/a", "models/stray", "jobs/x")
    swept = await sweep(store)
    assert (swept.unknown, swept.keys) == (2, 0)
    assert (await find(store)).unknown == ["from-elsewhere", "stray"]


async def test_what_is_in_order_costs_listings_alone(store):
    for number in range(30):
        await completed(store, f"job-{number}", attempts=1, winner=1)
        await started(store, f"running-{number}")
    await completed(store, "twice", attempts=2, winner=1)
    await sweep(store)
    assert store.read == ["jobs/twice/outcome.json"]
    store.read.clear()
    assert (await sweep(store)).keys == 0
    assert store.read == []


async def test_several_janitors_at_once_do_what_one_does(tmp_path):
    store = ObjectStore.open(str(tmp_path))
    models = [await completed(store, f"job-{number}", attempts=3, winner=number % 3 + 1) for number in range(20)]
    await asyncio.gather(*(sweep(ObjectStore.open(str(tmp_path))) for _ in range(4)))
    assert await store.list("models") == sorted(
        key
        for number, model in enumerate(models)
        for key in (f"{model}/attempt-{number % 3 + 1}/model/weights", f"{model}/record.json")
    )


async def test_an_end_that_comes_while_it_looks_is_safe(store):
    """Between the two listings a job completes: its files are in none of them, or its end is read."""
    model = await started(store, "job", 2)
    await put(store, f"{model}/attempt-1/a")
    listing = store.list

    async def list_and_end(prefix: str) -> list[str]:
        keys = await listing(prefix)
        if prefix == "models":
            await put(store, f"{model}/attempt-2/a")
            await ended(store, "job", JobStatus.COMPLETED, 1, f"{model}/attempt-1")
            await put(store, f"{model}/record.json")
        return keys

    store.list = list_and_end
    await sweep(store)
    assert f"{model}/attempt-1/a" in store.objects
    store.list = listing
    await sweep(store)
    assert await store.list(model) == [f"{model}/attempt-1/a", f"{model}/record.json"]
