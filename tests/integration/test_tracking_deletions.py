"""What deletions of models do to a real MLflow store: live, read again, and before the model was ever registered."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.deleting import deletion, finished
from support.fakes import HeldLease, RecordedOutcomes
from support.histories import Log, ended, model, request
from support.libraries import for_tracking
from support.tracking import Recording, all_of, blank_database, fresh_store, recording, runs_by_job

from events.identifiers import model_id_of
from infra.jobs.deletion import Deletion
from infra.jobs.running import Running
from infra.settings import Settings
from infra.storage.store import ObjectStore
from infra.tracking.tracking_store import TrackingStore, open_tracking_store
from schemas.projection import Record

NAME = "cohort.outcome"


_libraries = pytest.fixture(scope="module", autouse=True)(for_tracking)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blank_database(tmp_path_factory)


@pytest.fixture
def store(blank: Path, settings: Settings) -> TrackingStore:
    return fresh_store(blank, settings)


@pytest.fixture
async def house(store: TrackingStore, settings: Settings) -> AsyncIterator[Recording]:
    async with recording(store, settings) as opened:
        yield opened


def made(log: Log, number: int, score: float, **also: Any) -> list[Record]:
    job, name = f"job-{number}", model_id_of(f"job-{number}")
    about = {"validation_score": score, "created_at": f"2026-03-01T12:{number:02}:00Z", "training_config": request(job)}
    return [
        log.add("ml.model.completed", model(name, job, **about | also)),
        log.add("ml.job.completed", ended(job, model_id=name)),
    ]


def deleted(log: Log, number: int, *also: int, **data: Any) -> Record:
    along = [model_id_of(f"job-{one}") for one in also]
    told = {"model_id": model_id_of(f"job-{number}"), "requested_by": "ada", "with_models": along}
    return log.add("ml.model.deleted", told, **data)


def promoted(log: Log, number: int, **data: Any) -> Record:
    told = {"model_id": model_id_of(f"job-{number}"), "approved_by": "grace"}
    return log.add("ml.model-promotion.requested", told, **data)


def aliases(store: TrackingStore) -> dict[str, int]:
    told: dict[str, int] = all_of(store)["aliases"].get(NAME, {})
    return told


def versions(store: TrackingStore) -> dict[int, str]:
    """Version → job."""
    return {number: job for (_, number), (job, _, _) in all_of(store)["versions"].items()}


async def test_the_version_goes_the_aliases_move_on_and_the_run_is_marked(
    house: Recording, store: TrackingStore
) -> None:
    log = Log()
    for number, score in ((1, 0.7), (2, 0.9), (3, 0.8)):
        await house.tell(made(log, number, score))
    await house.tell([promoted(log, 1), promoted(log, 3)])
    assert aliases(store) == {"challenger": 2, "champion": 3}

    await house.tell([deleted(log, 2)])
    assert aliases(store) == {"challenger": 3, "champion": 3}
    await house.tell([deleted(log, 3)])
    assert aliases(store) == {"challenger": 1, "champion": 1}, "who was promoted before"
    assert versions(store) == {1: "job-1"}
    runs = runs_by_job(store)
    assert {job for job, run in runs.items() if "deleted_at" in run.data.tags} == {"job-2", "job-3"}
    assert runs["job-2"].data.tags["deleted_by"] == "ada"
    assert runs["job-2"].info.status == "FINISHED", "what was trained stays known"

    await house.tell(made(log, 4, 0.5))
    assert aliases(store) == {"challenger": 1, "champion": 1}
    await house.tell([deleted(log, 1, 4)])
    assert (aliases(store), versions(store)) == ({}, {})
    assert house.outcomes.letters == []


async def test_a_second_reading_says_the_same_and_a_told_again_model_stays_gone(
    house: Recording, store: TrackingStore, settings: Settings, blank: Path
) -> None:
    log = Log()
    for number in range(1, 5):
        made(log, number, 0.5 + number / 10)
        if number == 2:
            promoted(log, 2)
            deleted(log, 2)
            log.again(log.records[2])  # its job was asked for again, and told again
    deleted(log, 4, 3)
    assert await house.tell(log.records) == []
    first = all_of(store)
    assert versions(store) == {1: "job-1"}
    told = [event.subject for _, event in house.outcomes.events if event.name == "ml.model.registered"]
    assert len(told) == 4, "nothing that is gone is registered again"
    assert await house.tell(log.records) == []
    assert all_of(store) == first

    other = settings.model_copy(update={"mlflow_tracking_uri": f"sqlite:///{settings.data_dir}/second.db"})
    shutil.copy(blank, settings.data_dir / "second.db")
    async with recording(elsewhere := open_tracking_store(other), settings) as again:
        assert await again.tell(log.records) == []
    assert all_of(elsewhere) == first


async def test_a_deletion_that_is_read_first_waits_for_what_it_is_about(house: Recording, store: TrackingStore) -> None:
    log = Log()
    first, second, gone = made(log, 1, 0.7), made(log, 2, 0.9), deleted(log, 1, 2)
    assert await house.tell([gone, *first]) == [gone]
    assert await house.tell([gone]) == [gone], "one of the two is still unheard of"
    assert await house.tell([*second, gone]) == []
    assert versions(store) == {}


async def carried_out(settings: Settings, jobs: int, *numbers: int) -> RecordedOutcomes:
    """Models made and some deleted where the artifacts are, by a deleter; what it told."""
    artifacts, outcomes = ObjectStore.open(settings.artifacts), RecordedOutcomes()
    for number in range(1, jobs + 1):
        await finished(artifacts, outcomes, f"job-{number}")
    for number in numbers:
        asked = deletion(model_id_of(f"job-{number}"), requested_by="ada")
        await Deletion(artifacts, outcomes, Running()).handle(asked, HeldLease())
    return outcomes


async def test_a_model_that_was_gone_before_is_never_registered_and_numbers_are_as_if_it_had_been(
    house: Recording, store: TrackingStore, settings: Settings
) -> None:
    outcomes = await carried_out(settings, 3, 2)
    log = Log()
    for number in range(1, 4):
        await house.tell(made(log, number, 0.5 + number / 10))
    assert versions(store) == {1: "job-1", 3: "job-3"}
    told = [event.subject for _, event in house.outcomes.events if event.name == "ml.model.registered"]
    assert told == [model_id_of("job-1"), model_id_of("job-3")]
    run = runs_by_job(store)["job-2"]
    at = outcomes.one("ml.model.deleted").time
    assert run.data.tags["deleted_at"] == at.isoformat(timespec="microseconds")

    # It had been promoted when it was alive: that is no news, and no mistake. Afterwards it is one.
    now = (at - log.records[0].place.time).total_seconds()
    assert await house.tell([promoted(log, 2, at_s=now - 60)]) == []
    assert house.outcomes.letters == []
    assert await house.tell([promoted(log, 2, at_s=now + 60)]) == []
    assert [letter.reason for letter in house.outcomes.letters] == ["model_deleted"]


async def test_pictures_of_the_run_go_with_the_model(
    house: Recording, store: TrackingStore, settings: Settings
) -> None:
    artifacts = ObjectStore.open(settings.artifacts)
    log, folder = Log(), "models/x/attempt-1"
    await artifacts.put(f"{folder}/pictures/roc.svg", b"<svg/>")
    await house.tell(made(log, 1, 0.7, artifacts_path=folder, pictures={"roc": "pictures/roc.svg"}))
    run = runs_by_job(store)["job-1"]
    assert run.data.tags["pictures"] == "roc.svg"
    assert [one.path for one in store.client.list_artifacts(run.info.run_id, "pictures")] == ["pictures/roc.svg"]
    await house.tell([deleted(log, 1)])
    assert store.client.list_artifacts(run.info.run_id, "pictures") == []
    assert "pictures" not in runs_by_job(store)["job-1"].data.tags
