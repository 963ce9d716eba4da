"""Any order, any repetition, any grouping of the same records gives the same tables."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from support.databases import apply_all, empty, rows_of, writes_of
from support.histories import (
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
from support.postgres import running_postgres

from events.dead_letters import Redriven
from infra.storage.database import migrate, open_engine
from schemas.projection import Record, merged

JOBS = st.sampled_from(["job-1", "job-2"])
ATTEMPT = st.integers(1, 3)
MODELS = st.sampled_from(["model-1", "model-2"])
DATASETS = st.sampled_from(["cohort", "other"])


def _event(name: str, data: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return data.map(lambda told: (name, told))


#: Every type of event, contradictions among them: two ends of one job, two requests under one id.
EVENTS = st.one_of(
    _event("ml.automl.requested", st.builds(request, JOBS, name=st.sampled_from(["a", "b", None, 7]))),
    _event("ml.noop.requested", st.builds(lambda job: {"job_id": job, "colour": "unknown field"}, JOBS)),
    _event("ml.job.started", st.builds(started, JOBS, ATTEMPT)),
    _event("ml.job.progressed", st.builds(progressed, JOBS, st.integers(0, 3), st.integers(0, 4))),
    _event("ml.job.progressed", st.builds(progressed, JOBS, ATTEMPT, st.integers(0, 4), metrics=st.just({}))),
    _event("ml.job.completed", st.builds(ended, JOBS, ATTEMPT, model_id=MODELS)),
    _event("ml.job.failed", st.builds(failed, JOBS, ATTEMPT)),
    _event("ml.job.failed", st.builds(failed, JOBS, ATTEMPT, started_at=st.none())),
    _event("ml.job.cancelled", st.builds(ended, JOBS, ATTEMPT, requested_by=st.sampled_from(["ada", "grace"]))),
    _event("ml.job.cancellation-refused", st.builds(lambda job: {"job_id": job, "status": "failed"}, JOBS)),
    _event("ml.model.completed", st.builds(model, MODELS, JOBS, n_test=st.integers(1, 3))),
    _event(
        "ml.model.registered",
        st.builds(
            lambda one, run: {"model_id": one, "mlflow_run_id": run, "registered_name": "n", "version": run},
            MODELS,
            st.sampled_from(["1", "2"]),
        ),
    ),
    _event(
        "ml.model.promoted",
        st.builds(
            lambda one, by: {"model_id": one, "registered_name": "n", "version": "1", "approved_by": by},
            MODELS,
            st.sampled_from(["ada", "grace"]),
        ),
    ),
    _event("ml.model.deleted", st.builds(lambda one: {"model_id": one, "with_models": ["model-2"]}, MODELS)),
    _event("ml.model.deletion-refused", st.builds(lambda one: {"model_id": one, "used_by": ["x"]}, MODELS)),
    _event("ml.explanation.completed", st.builds(explanation, model_id=MODELS, n_samples=st.integers(1, 3))),
    _event(
        "datasets.uploaded",
        st.builds(
            lambda one, uri, name: {"dataset_id": one, "uri": uri, "name": name},
            DATASETS,
            st.sampled_from(["/a.csv", "", 3]),
            st.sampled_from([None, "A", "B"]),
        ),
    ),
    _event("ml.dataset.registered", st.builds(registered_dataset, DATASETS, n_rows=st.integers(1, 3))),
    _event("ml.dataset.rejected", st.builds(rejected_dataset, DATASETS, uri=st.sampled_from(["/a.csv", "/b.csv"]))),
)  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Some records on two partitions a topic, some of them published twice, and a few dead letters."""
    log = Log()
    for name, data in draw(st.lists(EVENTS, min_size=1, max_size=25)):
        log.add(name, data, partition=draw(st.integers(0, 1)))
    for record in draw(st.lists(st.sampled_from(log.records), max_size=4)):
        log.again(record, partition=draw(st.integers(0, 1)))
    for offset, reason in draw(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["not_json", "x"])), max_size=3)):
        log.bury(letter(offset, reason), at_s=len(log.records))
        if draw(st.booleans()):  # by a clock that is right, or behind
            sent_back = letter(offset, reason).redriven_as(Redriven(0, "ada", 1, draw(st.integers(20, 22))))
            log.bury(sent_back, at_s=draw(st.integers(0, 100)))
    return log.records


@st.composite
def readings(draw: st.DrawFn, records: list[Record]) -> list[list[Record]]:
    """The records in any order, some of them read again, in batches of any size."""
    shuffled = draw(st.permutations(records + draw(st.lists(st.sampled_from(records), max_size=10))))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    return [shuffled[i:j] for i, j in zip([0, *cuts], [*cuts, len(shuffled)], strict=True) if i < j]


class Database:
    """A database that lives as long as the module, in an event loop of its own: examples are many."""

    def __init__(self, runner: asyncio.Runner, engine: AsyncEngine) -> None:
        self.runner = runner
        self.engine = engine

    def after(self, *batches: list[Record]) -> dict[str, list[dict[str, Any]]]:
        async def read() -> dict[str, list[dict[str, Any]]]:
            await empty(self.engine)
            await apply_all(self.engine, *batches)
            return await rows_of(self.engine)

        return self.runner.run(read())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("property")
    if request.param == "sqlite":
        yield from _opened(f"sqlite+aiosqlite:///{folder / 'read.db'}")
    else:
        with running_postgres() as url:
            yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    with asyncio.Runner() as runner:
        runner.run(migrate(url))
        engine = open_engine(url)
        yield Database(runner, engine)
        runner.run(engine.dispose())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_the_tables_do_not_depend_on_how_the_log_is_read(database: Database, data: st.DataObject) -> None:
    records = data.draw(logs())
    once = database.after(records)

    assert database.after(*data.draw(readings(records))) == once
    assert database.after(*([record] for record in reversed(records))) == once


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_python_and_sql_merge_alike(database: Database, data: st.DataObject) -> None:
    """The merge within a batch and the merge with what is stored are one rule written twice."""
    records = data.draw(logs())
    stored = database.after(*([record] for record in records))

    for rule, rows in merged(writes_of(records)):
        told = sorted(rows, key=lambda row: [str(row[column]) for column in rule.identity])
        have = sorted(stored[rule.table.name], key=lambda row: [str(row[column]) for column in rule.identity])
        assert have == told
