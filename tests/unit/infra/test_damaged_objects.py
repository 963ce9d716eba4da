"""Objects of the store that cannot be read any more: what becomes of the job, and what a person reads."""

import json
from dataclasses import replace
from typing import Any

import pytest
from support.fakes import MemoryStore
from support.lives import House, automl, noop

from events.identifiers import model_id_of
from infra.execution.messages import Finished
from infra.jobs import claims, janitor
from infra.jobs.faults import LastResort
from infra.jobs.lifecycle import Lifecycle

DONE = Finished(summary="Done")
#: Cut in the middle, of the wrong kind, without what must be in it, no text at all.
DAMAGES = (b"", b'{"content_sha', b"[]", b"{}", b"null", b"\xff\xfe\x00")


def carrier(house: House) -> LastResort:
    return LastResort(Lifecycle(house.tools), house.outcomes)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["request.json", "outcome.json", "cancellation.json"])
async def test_a_job_whose_record_is_damaged_is_put_aside_and_runs_once_it_is_repaired(
    tmp_path: Any, name: str, damage: bytes
) -> None:
    house = House(tmp_path, [DONE])
    key = f"jobs/job-1/{name}"
    house.store.objects[key] = damage
    await carrier(house).handle(noop(), house.lease)
    (letter,) = house.outcomes.letters
    assert letter.reason == "store_damaged"
    assert letter.value == noop().value or letter.key == b"job-1"
    assert key in letter.message
    assert "dlq redrive" in letter.message
    assert house.outcomes.one("ml.job.progressed").data["message"].startswith(f"Put aside: {key}")
    assert house.outcomes.names() == [], "it has an end, or was started"

    await house.store.delete_all("jobs/job-1")
    await carrier(house).handle(noop(offset=7), house.lease)
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_claim_that_cannot_be_read_is_somebody_elses(tmp_path: Any, damage: bytes) -> None:
    house = House(tmp_path, [DONE])
    house.store.objects["jobs/job-1/attempts/1/claim.json"] = damage
    await carrier(house).handle(noop(), house.lease)
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 2


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_pointer_to_a_checkpoint_that_cannot_be_read_costs_time_and_not_the_job(
    tmp_path: Any, damage: bytes
) -> None:
    house = House(tmp_path, [DONE])
    house.store.objects["jobs/job-1/checkpoints/latest.json"] = damage
    await carrier(house).handle(noop(), house.lease)
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_dataset_or_model_whose_record_is_damaged_is_named(tmp_path: Any, damage: bytes) -> None:
    house = House(tmp_path)
    house.store.objects["datasets/d/manifest.json"] = damage
    await carrier(house).handle(automl(), house.lease)
    error = house.outcomes.one("ml.job.failed").data["error"]
    assert error["reason"] == "store_damaged"
    assert "datasets/d/manifest.json" in error["message"]
    assert "upload the dataset again" in error["message"]


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage])
async def test_who_cannot_tell_what_counts_removes_nothing_and_tidies_the_rest(damage: bytes) -> None:
    store = MemoryStore()
    for job_id in ("damaged", "whole"):
        for attempt in (1, 2):
            for key in (f"jobs/{job_id}/attempts/{attempt}/claim.json", f"jobs/{job_id}/checkpoints/{attempt}-1/w"):
                store.objects[key] = b"{}"
            store.objects[f"models/{model_id_of(job_id)}/attempt-{attempt}/MLmodel"] = b""
    counts = f"models/{model_id_of('whole')}/attempt-2"
    store.objects["jobs/whole/outcome.json"] = json.dumps({"artifacts": counts}).encode()
    store.objects["jobs/damaged/outcome.json"] = damage
    found = await janitor.find(store)
    assert counts.replace("attempt-2", "attempt-1") in found.folders
    assert not [folder for folder in found.folders if model_id_of("damaged") in folder or folder == counts]

    del store.objects["jobs/damaged/outcome.json"]
    store.objects["jobs/damaged/checkpoints/latest.json"] = damage
    found = await janitor.find(store)
    assert not [folder for folder in found.folders if "damaged" in folder]


async def test_a_job_put_aside_runs_when_its_record_is_restored_and_its_letter_sent_back(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    delivery = noop()
    await claims.own(house.store, delivery.identify(), delivery)
    backup = house.store.objects["jobs/job-1/request.json"]
    house.store.objects["jobs/job-1/request.json"] = b"{"
    await house.handle(delivery)
    (letter,) = house.outcomes.letters
    house.store.objects["jobs/job-1/request.json"] = backup

    key, value, headers = letter.original()
    back = replace(delivery, offset=7, key=key, value=value, headers=tuple(headers))
    await house.handle(back)
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]
    # It owns the job now, for good: neither the first nor a copy that names the first runs it again.
    await house.handle(back)
    await house.handle(delivery)
    await house.handle(replace(back, offset=9))
    assert len(house.executor.tasks) == 1
