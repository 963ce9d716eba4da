"""The reads against a real SQLite file."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from support.rows import NOON, database, dataset_row, fill, job_row, model_row

from events.outcomes import Failure, JobStatus
from events.topics import JobKind
from schemas import queries
from schemas.cursors import InvalidCursor
from schemas.filters import DatasetFilter, JobFilter, ModelFilter
from schemas.tables import datasets, ml_models, training_jobs


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with database(tmp_path) as opened:
        yield opened


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as opened:
        yield opened


async def pages(connection: AsyncConnection, asked: JobFilter) -> list[list[str]]:
    found = []
    while True:
        page = await queries.list_jobs(connection, asked)
        found.append([job.job_id for job in page.items])
        if page.next is None:
            return found
        asked = asked.model_copy(update={"cursor": page.next})


async def test_paging_shows_each_row_once_though_all_times_are_equal(engine, connection) -> None:
    await fill(engine, training_jobs, *(job_row(f"job-{n:03}") for n in range(250)))
    found = await pages(connection, JobFilter(limit=40))
    assert [len(page) for page in found] == [40, 40, 40, 40, 40, 40, 10]
    assert list(chain(*found)) == [f"job-{n:03}" for n in reversed(range(250))]


async def test_paging_goes_by_time_to_the_microsecond_and_then_by_id(engine, connection) -> None:
    later = NOON + timedelta(microseconds=1)
    await fill(
        engine,
        training_jobs,
        job_row("a", created_at=later),
        job_row("b"),
        job_row("c"),
        job_row("d", created_at=NOON.replace(microsecond=0)),
    )
    assert await pages(connection, JobFilter(limit=1)) == [["a"], ["c"], ["b"], ["d"]]


async def test_rows_that_come_while_somebody_reads_shift_nothing(engine, connection) -> None:
    await fill(engine, training_jobs, *(job_row(f"old-{n}") for n in range(4)))
    first = await queries.list_jobs(connection, JobFilter(limit=2))
    await fill(engine, training_jobs, job_row("new", created_at=NOON + timedelta(seconds=1)))
    second = await queries.list_jobs(connection, JobFilter(limit=2, cursor=first.next))
    assert [job.job_id for job in second.items] == ["old-1", "old-0"]
    assert second.next is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["4", "3", "2", "1"]),
        ({"status": JobStatus.FAILED}, ["3", "1"]),
        ({"kind": JobKind.ENSEMBLE}, ["3", "2"]),
        ({"kind": JobKind.ENSEMBLE, "status": JobStatus.FAILED}, ["3"]),
        ({"dataset_id": "other"}, ["4"]),
        ({"status": JobStatus.CANCELLED}, []),
    ],
)
async def test_filters_go_together(engine, connection, asked: dict[str, Any], expected: list[str]) -> None:
    await fill(
        engine,
        training_jobs,
        job_row("1", status="failed"),
        job_row("2", kind="ensemble"),
        job_row("3", kind="ensemble", status="failed"),
        job_row("4", dataset_id="other"),
    )
    assert await pages(connection, JobFilter(limit=1, **asked)) == ([[i] for i in expected] or [[]])


async def test_a_cursor_holds_for_its_filters_only(engine, connection) -> None:
    await fill(engine, training_jobs, *(job_row(str(n), status="failed") for n in range(3)))
    page = await queries.list_jobs(connection, JobFilter(limit=1, status=JobStatus.FAILED))
    with pytest.raises(InvalidCursor):
        await queries.list_jobs(connection, JobFilter(limit=1, cursor=page.next))
    longer = await queries.list_jobs(connection, JobFilter(limit=200, status=JobStatus.FAILED, cursor=page.next))
    assert [job.job_id for job in longer.items] == ["1", "0"], "the page size may change on the way"


@pytest.mark.parametrize("asked", [JobFilter(), JobFilter(status=JobStatus.FAILED)])
async def test_a_page_walks_an_index_and_sorts_nothing(engine, connection, asked: JobFilter) -> None:
    await fill(engine, training_jobs, *(job_row(str(n), status="failed") for n in range(3)))
    page = await queries.list_jobs(connection, asked.model_copy(update={"limit": 1}))
    sent: list[tuple[str, Any]] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *a: sent.append((a[2], a[3])))
    await queries.list_jobs(connection, asked.model_copy(update={"cursor": page.next}))
    statement, values = sent[0]
    plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)).all()
    assert any("USING INDEX" in step.detail for step in plan), plan
    assert not any("TEMP B-TREE" in step.detail for step in plan), plan


async def test_a_running_job_that_is_silent_for_more_than_a_minute_is_stalled(engine, connection) -> None:
    await fill(engine, training_jobs, job_row("job", status="running", started_at=NOON, last_heard_at=NOON))
    on_time = await queries.get_job(connection, "job", now=NOON + timedelta(seconds=60))
    late = await queries.get_job(connection, "job", now=NOON + timedelta(seconds=60, microseconds=1))
    assert on_time is not None
    assert late is not None
    assert (on_time.stalled, late.stalled) == (False, True)


@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
async def test_only_a_running_job_can_be_stalled(engine, connection, status: str) -> None:
    await fill(engine, training_jobs, job_row("job", status=status, started_at=NOON, last_heard_at=NOON))
    job = await queries.get_job(connection, "job", now=NOON + timedelta(days=1))
    assert job is not None
    assert job.stalled is False


async def test_a_job_that_was_never_heard_of_after_its_start_stalls_too(engine, connection) -> None:
    await fill(engine, training_jobs, job_row("job", status="running", started_at=NOON))
    job = await queries.get_job(connection, "job", now=NOON + timedelta(seconds=61))
    assert job is not None
    assert job.stalled is True


async def test_a_failed_job_says_why(engine, connection) -> None:
    failed = job_row("bad", status="failed", error_reason="target_missing", error="there is no column 'outcom'")
    await fill(engine, training_jobs, failed, job_row("good"))
    bad = await queries.get_job(connection, "bad")
    good = await queries.get_job(connection, "good")
    assert bad is not None
    assert good is not None
    assert bad.error == Failure(reason="target_missing", message="there is no column 'outcom'")
    assert good.error is None


async def test_what_is_not_there_is_none(connection) -> None:
    assert await queries.get_job(connection, "nobody") is None
    assert await queries.get_model(connection, "nobody") is None


async def test_a_models_results_hold_columns_and_details(engine, connection) -> None:
    await fill(engine, ml_models, model_row("m"))
    model = await queries.get_model(connection, "m")
    assert model is not None
    assert (model.model_id, model.model_name, model.model_type) == ("m", "AutoML_0123abcd", "automl")
    assert model.baseline.beaten is True
    assert model.intervals == {"accuracy": [0.93, 1.0]}
    assert model.classes == ["benign", "malignant"]
    assert model.warnings == ["few rows"]
    assert model.files == {"model/MLmodel": "ab" * 32}
    assert model.created_at == NOON


async def test_details_that_an_older_event_did_not_tell_are_empty(engine, connection) -> None:
    await fill(engine, ml_models, model_row("m", details={}))
    model = await queries.get_model(connection, "m")
    assert model is not None
    assert (model.classes, model.warnings, model.leaderboard, model.files) == (None, [], [], {})


async def test_a_deleted_model_is_not_listed_and_says_when_it_went(engine, connection) -> None:
    await fill(engine, ml_models, model_row("here"), model_row("gone", deleted_at=NOON))
    assert [m.model_id for m in (await queries.list_models(connection, ModelFilter())).items] == ["here"]
    with pytest.raises(queries.ModelDeleted, match="2026-01-31 12:00"):
        await queries.get_model(connection, "gone")


async def test_a_model_that_is_only_registered_yet_is_not_there(engine, connection) -> None:
    """The projector has read its registration, and not its completion: nothing of its results is known."""
    unknown = {"baseline": {}, "metrics": {}, "details": {}, "type": "", "completed_place": None}
    await fill(engine, ml_models, model_row("early", registered_name="m", **unknown), model_row("m"))
    assert await queries.get_model(connection, "early") is None
    assert [m.model_id for m in (await queries.list_models(connection, ModelFilter())).items] == ["m"]


async def test_models_are_filtered_by_type_and_dataset(engine, connection) -> None:
    await fill(engine, ml_models, model_row("a"), model_row("b", type="ensemble"), model_row("c", dataset_id="d2"))

    async def ids(**asked: Any) -> list[str]:
        return [m.model_id for m in (await queries.list_models(connection, ModelFilter(**asked))).items]

    assert await ids(type="ensemble") == ["b"]
    assert await ids(dataset_id="d2") == ["c"]
    assert await ids(type="automl") == ["c", "a"]


async def test_datasets_tell_why_one_was_rejected(engine, connection) -> None:
    rejected = dataset_row("bad", status="rejected", error_reason="file_empty", error="the file is empty")
    await fill(engine, datasets, dataset_row("good"), rejected)
    page = await queries.list_datasets(connection, DatasetFilter(status="rejected"))
    assert [(d.dataset_id, d.error) for d in page.items] == [
        ("bad", Failure(reason="file_empty", message="the file is empty"))
    ]


async def test_the_probe_misses_a_table_and_a_column(engine, connection) -> None:
    await queries.probe(connection)
    await connection.execute(text("ALTER TABLE training_jobs DROP COLUMN eta_s"))
    with pytest.raises(OperationalError, match="eta_s"):
        await queries.probe(connection)
    await connection.execute(text("DROP TABLE training_jobs"))
    with pytest.raises(OperationalError, match="training_jobs"):
        await queries.probe(connection)
