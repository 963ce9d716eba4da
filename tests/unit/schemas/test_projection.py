"""What each event does to the tables, one at a time and in the orders that matter."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from support.databases import apply_all, rows_of, writes_of
from support.histories import (
    NOW,
    Log,
    ended,
    explanation,
    failed,
    letter,
    model,
    progressed,
    registered_dataset,
    rejected_dataset,
    request,
    started,
)

from events.dead_letters import DeadLetter, Redriven
from events.topics import Topic
from events.vocabulary import EVENTS
from infra.storage.database import migrate, open_engine
from schemas import tables
from schemas.projection import Place, Record, project
from schemas.projection.project import _COMMAND_TOPICS, _OUTCOMES


@pytest.fixture
async def engine(tmp_path: Any) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    await migrate(url)
    engine = open_engine(url)
    yield engine
    await engine.dispose()


@pytest.fixture
def log() -> Log:
    return Log()


async def row(engine: AsyncEngine, table: Any = tables.training_jobs) -> dict[str, Any]:
    """The only row of a table."""
    async with engine.connect() as connection:
        return dict((await connection.execute(select(table))).mappings().one())


async def test_a_request_is_a_pending_job(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.automl.requested", request(name="first try"), at_s=3)
    await apply_all(engine, log.records)

    job = await row(engine)
    assert (job["id"], job["kind"], job["model_type"], job["status"]) == ("job-1", "automl", "automl", "pending")
    assert (job["name"], job["dataset_id"], job["created_by"]) == ("first try", "cohort", "ada")
    assert (job["created_at"], job["started_at"], job["progress"]) == (NOW + timedelta(seconds=3), None, 0.0)
    assert job["request"]["target_column"] == "outcome"


async def test_a_request_with_wrong_content_owns_its_job_all_the_same(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.automl.requested", {"job_id": "job-1", "name": 7, "dataset_id": "../x", "colour": "blue"})
    await apply_all(engine, log.records)

    job = await row(engine)
    assert (job["status"], job["name"], job["dataset_id"], job["created_by"]) == ("pending", None, None, "unknown")
    assert job["request"]["colour"] == "blue"


@pytest.mark.parametrize("value", [b"{", b"", None, b'{"specversion":"1.0"}'])
def test_a_request_that_nobody_can_identify_is_left_to_the_agent(log: Log, value: bytes | None) -> None:
    assert project(log.put(Topic.AUTOML, value)) == []


def test_commands_change_nothing_until_an_outcome_says_so(log: Log) -> None:
    assert project(log.add("ml.cancellation.requested", {"job_id": "job-1"})) == []
    assert project(log.put(Topic.MODEL_DELETION, b"no event at all")) == []


@pytest.mark.parametrize("value", [b"{", b"", None, b'{"specversion":"1.0"}'])
def test_an_outcome_that_cannot_be_read_is_a_dead_letter_with_its_bytes(log: Log, value: bytes | None) -> None:
    found = project(log.put(Topic.JOBS, value, key=b"job-1"))

    assert isinstance(found, DeadLetter)
    assert (found.topic, found.offset, found.key, found.value) == (Topic.JOBS, 0, b"job-1", value)
    assert found.reason in ("not_json", "not_a_cloudevent")


def test_an_outcome_with_wrong_data_is_a_dead_letter(log: Log) -> None:
    found = project(log.add("ml.job.progressed", progressed(percent=101)))

    assert isinstance(found, DeadLetter)
    assert (found.reason, "data.percent" in found.message) == ("out_of_range", True)


def test_a_record_among_the_dead_letters_that_is_none_becomes_one(log: Log) -> None:
    found = project(log.put(Topic.DEAD_LETTERS, b"hello"))

    assert isinstance(found, DeadLetter)
    assert found.topic == Topic.DEAD_LETTERS


def test_every_outcome_is_projected(log: Log) -> None:
    requests = {event.name for event in EVENTS.values() if event.topic in _COMMAND_TOPICS or event.kind}
    assert {*_OUTCOMES} == {event.name for event in EVENTS.values()} - requests - {"datasets.uploaded"}


def test_every_write_is_a_whole_row(log: Log) -> None:
    for name, data in EVERY_EVENT:
        log.add(name, data)
    log.bury(letter())

    for write in writes_of(log.records):
        table = write.rule.table
        wanted = {c.name for c in table.c} - ({"id"} if table is tables.job_events else set())
        assert {*write.row} == wanted
        declared = {c for register in write.rule.registers for c in register.all_columns} | {*write.rule.identity}
        assert declared == wanted or not write.rule.registers


EVERY_EVENT: list[tuple[str, dict[str, Any]]] = [
    ("ml.automl.requested", request()),
    ("ml.job.started", started()),
    ("ml.job.progressed", progressed()),
    ("ml.job.completed", ended(model_id="model-1")),
    ("ml.job.failed", failed()),
    ("ml.job.cancelled", ended(requested_by="ada")),
    ("ml.job.cancellation-refused", {"job_id": "job-1", "status": "completed"}),
    ("ml.model.completed", model()),
    ("ml.model.registered", {"model_id": "model-1", "mlflow_run_id": "r", "registered_name": "n", "version": "1"}),
    ("ml.model.promoted", {"model_id": "model-1", "registered_name": "n", "version": "1", "approved_by": "ada"}),
    ("ml.model.deleted", {"model_id": "model-1", "with_models": ["model-2"]}),
    ("ml.model.deletion-refused", {"model_id": "model-1", "used_by": ["model-2"]}),
    ("ml.explanation.completed", explanation()),
    ("datasets.uploaded", {"dataset_id": "cohort", "uri": "/data/cohort.csv"}),
    ("ml.dataset.registered", registered_dataset()),
    ("ml.dataset.rejected", rejected_dataset()),
]


async def test_the_life_of_a_job(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.automl.requested", request(), at_s=0)
    log.add("ml.job.progressed", progressed(attempt=0, seq=0, message="Waiting for dataset cohort"), at_s=1)
    await apply_all(engine, log.records)
    job = await row(engine)
    assert (job["status"], job["message"]) == ("pending", "Waiting for dataset cohort")

    await apply_all(engine, [log.add("ml.job.started", started())])
    job = await row(engine)
    assert (job["status"], job["attempt"], job["message"], job["progress"]) == ("running", 1, "Started", 0.0)
    assert job["last_heard_at"] == job["started_at"] == NOW + timedelta(seconds=10)

    await apply_all(engine, [log.add("ml.job.progressed", progressed(seq=45), at_s=12)])
    job = await row(engine)
    assert (job["progress"], job["message"], job["eta_s"]) == (45.0, "Training model 45", 55.0)
    assert (job["metrics"], job["last_heard_at"]) == ({"auroc": 0.9}, NOW + timedelta(seconds=12))

    await apply_all(engine, [log.add("ml.job.completed", ended(model_id="model-1", summary="Trained 9 models"))])
    job = await row(engine)
    assert (job["status"], job["progress"], job["message"]) == ("completed", 100.0, "Trained 9 models")
    assert (job["model_id"], job["eta_s"], job["metrics"]) == ("model-1", None, None)
    assert job["completed_at"] == NOW + timedelta(seconds=15)
    assert job["created_at"] == NOW


async def test_a_failure_says_why(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.job.failed", failed(started_at=None))
    await apply_all(engine, log.records)

    job = await row(engine)
    assert (job["status"], job["error_reason"], job["progress"]) == ("failed", "target_missing", 0.0)
    assert job["error"] == job["message"] == "the dataset has no column outcome"
    assert (job["started_at"], job["request"]) == (None, request())


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_an_early_end_keeps_how_far_the_job_came(engine: AsyncEngine, log: Log, end: str) -> None:
    reached = {"percent": 45.0, "message": "Training epoch 45/100", "metrics": {"loss": 0.5}}
    fact = failed(reached=reached) if end == "failed" else ended(reached=reached)
    # The end alone tells it: words from jobs are kept for days, the row for ever.
    log.add(f"ml.job.{end}", fact)
    await apply_all(engine, log.records)
    job = await row(engine)
    assert (job["status"], job["progress"], job["metrics"]) == (end, 45.0, {"loss": 0.5})


async def test_a_cancellation_names_who_asked(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.job.cancelled", ended(requested_by="grace"))
    await apply_all(engine, log.records)
    assert (await row(engine))["message"] == "Cancelled by grace"


async def test_what_an_older_attempt_says_changes_nothing(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.job.started", started(attempt=2))
    log.add("ml.job.progressed", progressed(attempt=1, seq=80))
    await apply_all(engine, *[[record] for record in log.records])

    job = await row(engine)
    assert (job["attempt"], job["message"], job["progress"]) == (2, "Started again (attempt 2)", 0.0)


async def test_late_news_leaves_the_end_alone(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.job.completed", ended(model_id="model-1"))
    await apply_all(engine, log.records)
    before = await rows_of(engine, without=("projected_offsets", "job_events"))
    await apply_all(engine, [log.add("ml.job.progressed", progressed(attempt=1, seq=99))])
    assert await rows_of(engine, without=("projected_offsets", "job_events")) == before

    await apply_all(engine, [log.add("ml.job.started", started(started_at=NOW.isoformat()))])
    job = await row(engine)
    assert (job["status"], job["message"], job["model_id"]) == ("completed", "Completed", "model-1")


async def test_an_ended_job_does_not_depend_on_progress(engine: AsyncEngine, log: Log) -> None:
    """Progress is kept for a week: a read model rebuilt later must say the same."""
    for name, data in [
        ("ml.job.progressed", progressed(seq=5)),
        ("ml.automl.requested", request()),
        ("ml.job.failed", failed()),
    ]:
        log.add(name, data)
    await apply_all(engine, log.records)
    with_progress = await row(engine)
    async with engine.begin() as connection:
        await connection.execute(tables.training_jobs.delete())
    await apply_all(engine, [record for record in log.records if record.place.topic != Topic.PROGRESS])
    assert await row(engine) == with_progress


async def test_of_two_requests_the_earlier_one_stands_until_the_job_itself_speaks(
    engine: AsyncEngine, log: Log
) -> None:
    log.add("ml.automl.requested", request(name="second"), at_s=2, partition=1)
    log.add("ml.automl.requested", request(name="first"), at_s=1)
    await apply_all(engine, log.records)
    assert (await row(engine))["name"] == "first"

    await apply_all(engine, [log.add("ml.job.started", started(request=request(name="second")))])
    job = await row(engine)
    assert (job["name"], job["created_at"]) == ("second", NOW + timedelta(seconds=1))


async def test_an_event_published_twice_is_one_line_of_history(engine: AsyncEngine, log: Log) -> None:
    log.again(log.add("ml.job.started", started()), partition=1)
    await apply_all(engine, log.records)

    event = await row(engine, tables.job_events)
    assert (event["source"], event["event_id"], event["type"]) == ("test", "event-0", "ml.job.started")
    assert "request" not in event["data"]


async def test_a_model_its_registration_promotion_and_end(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.model.completed", model())
    log.add(
        "ml.model.registered",
        {"model_id": "model-1", "mlflow_run_id": "run", "registered_name": "cohort.outcome", "version": "3"},
    )
    log.add(
        "ml.model.promoted",
        {"model_id": "model-1", "registered_name": "cohort.outcome", "version": "3", "approved_by": "grace"},
        at_s=60,
    )
    log.add("ml.model.deleted", {"model_id": "other", "with_models": ["model-1"]}, at_s=90)
    await apply_all(engine, log.records[:3])

    found = await row(engine, tables.ml_models)
    assert (found["mlflow_run_id"], found["version"], found["promoted_by"]) == ("run", "3", "grace")
    assert (found["metrics"], found["baseline"]["beaten"]) == ({"auroc": 0.97}, False)
    assert (found["details"]["files"], found["details"]["dataset_sha256"]) == ({"MLmodel": "b" * 64}, "a" * 64)
    assert (found["updated_at"], found["deleted_at"]) == (NOW + timedelta(seconds=60), None)

    await apply_all(engine, log.records[3:])
    deleted = {one["id"]: one for one in (await rows_of(engine))["ml_models"]}
    assert deleted["model-1"]["deleted_at"] == NOW + timedelta(seconds=90)
    assert deleted["other"]["completed_place"] is None  # not heard of yet: readers leave it out


async def test_lineage_names_data_members_and_base(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.model.completed", model(training_config={"model_ids": ["a", "b", "../c"], "base_model": "job:base"}))
    log.add("ml.explanation.completed", explanation())
    await apply_all(engine, log.records)

    links = {(one["parent"], one["relation"], one["child"]) for one in (await rows_of(engine))["model_lineage"]}
    assert links == {
        ("cohort", "trained_on", "model-1"),
        ("a", "member_of", "model-1"),
        ("b", "member_of", "model-1"),
        ("base", "fine_tuned_from", "model-1"),
        ("model-1", "explains", "expl-1"),
    }


async def test_an_explanation(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.explanation.completed", explanation(additivity_error=1e-7))
    await apply_all(engine, log.records)

    found = await row(engine, tables.explanations)
    assert (found["id"], found["job_id"], found["feature_importance"]) == ("expl-1", "job-2", {"age": 0.4})
    assert found["details"]["additivity_error"] == 1e-7


async def test_a_dataset_is_uploaded_then_registered_and_stays_so(engine: AsyncEngine, log: Log) -> None:
    log.add("datasets.uploaded", {"dataset_id": "cohort", "uri": "/data/cohort.csv"}, at_s=1)
    await apply_all(engine, log.records)
    found = await row(engine, tables.datasets)
    assert (found["status"], found["name"], found["n_rows"]) == ("uploaded", "cohort.csv", None)

    log.add("ml.dataset.registered", registered_dataset(), at_s=2)
    log.add("datasets.uploaded", {"dataset_id": "cohort", "uri": "/data/other.csv"}, at_s=3)
    log.add("ml.dataset.rejected", rejected_dataset(uri="/data/other.csv"), at_s=4)
    await apply_all(engine, *[[record] for record in log.records])
    found = await row(engine, tables.datasets)
    assert (found["status"], found["name"], found["uri"]) == ("registered", "Cohort", "/data/cohort.csv")
    assert (found["n_rows"], found["error"], found["created_at"]) == (500, None, NOW + timedelta(seconds=1))
    assert found["columns"][0] == {"name": "age", "type": "integer", "missing": 1, "distinct": 60}


async def test_a_rejected_dataset_says_why_and_keeps_its_name(engine: AsyncEngine, log: Log) -> None:
    log.add("ml.dataset.rejected", rejected_dataset())
    log.add("datasets.uploaded", {"dataset_id": "cohort", "uri": "s3://b/cohort.csv", "name": "My cohort"})
    await apply_all(engine, log.records)

    found = await row(engine, tables.datasets)
    assert (found["status"], found["name"], found["error_reason"]) == ("rejected", "My cohort", "file_empty")


async def test_a_record_put_aside_twice_is_one_row(engine: AsyncEngine, log: Log) -> None:
    log.bury(letter(), at_s=5)
    log.bury(letter(), at_s=9)
    await apply_all(engine, *[[record] for record in log.records])

    found = await row(engine, tables.dead_letters)
    assert (found["epoch"], found["topic"], found["offset"]) == ("epoch-1", Topic.AUTOML, 7)
    assert (found["key"], found["value"], found["redriven"]) == (None, b"{", False)
    assert found["headers"] == [["traceparent", "MDAtMQ=="], ["empty", None]]
    assert found["dead_at"] == NOW + timedelta(seconds=5)


@pytest.mark.parametrize("order", [1, -1], ids=["letter first", "mark first"])
@pytest.mark.parametrize("mark_at_s", [1, 9], ids=["an earlier clock", "a later clock"])
async def test_a_letter_that_was_sent_back_is_marked_and_keeps_what_it_told(
    engine: AsyncEngine, log: Log, order: int, mark_at_s: int
) -> None:
    log.bury(letter(), at_s=5)
    log.bury(letter().redriven_as(Redriven(1_800_000_000_000, "ada", 1, 8)), at_s=mark_at_s)
    await apply_all(engine, *[[record] for record in log.records[::order]])

    found = await row(engine, tables.dead_letters)
    assert (found["redriven"], found["value"], found["reason"], found["message"]) == (True, b"{", "not_json", "no JSON")
    assert found["headers"] == [["traceparent", "MDAtMQ=="], ["empty", None]]
    assert found["dead_at"] == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(("timestamp_ms", "year"), [(-1, 1970), (10**18, 9999)])
def test_a_time_that_cannot_be_does_no_harm(timestamp_ms: int, year: int) -> None:
    place = Place("epoch", Topic.AUTOML, 0, 0, timestamp_ms)
    assert place.time.year == year
    assert project(Record(place, None, Log().add("ml.automl.requested", request()).value)) != []
