"""The projector on both brokers: restarts, company, outages, poison, another life of the log."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from support.broker import Broker, running_broker
from support.databases import apply_all, rows_of
from support.fakes import RecordedOutcomes
from support.histories import Log, ended, failed, model, progressed, registered_dataset, request, started
from support.replaying import Offsets, caught_up, publish

from events.topics import Topic
from infra.kafka import settling
from infra.kafka.log_epoch import ensure_epoch, read_epoch
from infra.kafka.projector import Projector, run
from infra.settings import Settings
from infra.storage import database
from infra.storage.database import migrate, open_engine
from schemas.projection import Record


@pytest.fixture
async def settings(tmp_path: Path, both_brokers: Broker) -> AsyncIterator[Settings]:
    async with running_broker(tmp_path, both_brokers) as settings:
        await migrate(settings.database)
        yield settings


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(settings.database)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def projecting(settings: Settings, outcomes: Any = None) -> AsyncIterator[Projector]:
    """A projector with a connection of its own, as another process has it."""
    engine, stop = open_engine(settings.database), asyncio.Event()
    projector = Projector(settings, engine, outcomes or RecordedOutcomes())
    running = asyncio.create_task(projector.run(stop))
    try:
        yield projector
        stop.set()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await engine.dispose()


def history(n_jobs: int, first: int = 0) -> Log:
    """Jobs that end in their different ways, spread over both partitions."""
    log = Log()
    for number in range(first, first + n_jobs):
        job, partition = f"job-{number}", number % 2
        log.add("ml.automl.requested", request(job), partition=partition)
        log.add("ml.job.started", started(job), partition=partition)
        for seq in range(5):
            log.add("ml.job.progressed", progressed(job, seq=seq), partition=partition)
        if number % 3 == 0:
            log.add("ml.job.failed", failed(job), partition=partition)
        elif number % 3 == 1:
            log.add("ml.model.completed", model(f"model-{number}", job), partition=partition)
            log.add("ml.job.completed", ended(job, model_id=f"model-{number}"), partition=partition)
    log.add("ml.dataset.registered", registered_dataset(f"cohort-{first}"))
    return log


async def expected_rows(tmp_path: Path, records: list[Record]) -> dict[str, Any]:
    """What the records mean, without any broker."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'expected.db'}"
    await migrate(url)
    engine = open_engine(url)
    await apply_all(engine, records)
    rows = await rows_of(engine)
    await engine.dispose()
    return rows


async def test_the_log_becomes_the_tables(settings: Settings, engine: AsyncEngine, tmp_path: Path) -> None:
    log = history(12)
    offsets = await publish(settings, log.records)
    async with projecting(settings) as projector:
        await caught_up(projector, offsets)

    assert await rows_of(engine) == await expected_rows(tmp_path, log.records)
    assert Counter(row["status"] for row in (await rows_of(engine))["training_jobs"]) == {
        "failed": 4, "completed": 4, "running": 4,
    }  # fmt: skip


async def test_a_projector_that_dies_in_the_middle_is_followed_by_another(
    settings: Settings, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.projector._BATCH", 7)
    log = history(20)
    offsets = await publish(settings, log.records)

    first_engine = open_engine(settings.database)
    first = Projector(settings, first_engine, RecordedOutcomes())
    dying = asyncio.create_task(first.run(asyncio.Event()))
    await first.wait_until(Topic.PROGRESS, 0, 10)
    dying.cancel()  # in the middle of whatever it does
    await asyncio.gather(dying, return_exceptions=True)
    await first_engine.dispose()
    assert await rows_of(engine) != await expected_rows(tmp_path, log.records)

    async with projecting(settings) as second:
        await caught_up(second, offsets)
    assert await rows_of(engine) == await expected_rows(tmp_path, log.records)


async def test_two_projectors_share_the_work(settings: Settings, engine: AsyncEngine, tmp_path: Path) -> None:
    early, late = history(6), history(9, first=6)
    async with projecting(settings) as first:
        await caught_up(first, await publish(settings, early.records))
        async with projecting(settings) as second:
            await second.wait_until_placed()
            offsets = await publish(settings, late.records)
            halves = [asyncio.create_task(_any_caught_up((first, second), one)) for one in offsets.items()]
            workers = await asyncio.gather(*halves)
            assert {*workers} == {first, second}

    shifted = _at(late.records, offsets)
    assert await rows_of(engine) == await expected_rows(tmp_path, early.records + shifted)


async def _any_caught_up(projectors: tuple[Projector, ...], one: tuple[tuple[str, int], int]) -> Projector:
    (topic, partition), offset = one
    waiting = {asyncio.create_task(p.wait_until(topic, partition, offset)): p for p in projectors}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return waiting[done.pop()]


def _at(records: list[Record], last: Offsets) -> list[Record]:
    """The records at the offsets that they got behind others."""
    counted = Counter((record.place.topic, record.place.partition) for record in records)
    shift = {place: last[place] + 1 - counted[place] for place in counted}
    return [
        replace(r, place=replace(r.place, offset=r.place.offset + shift[r.place.topic, r.place.partition]))
        for r in records
    ]


async def test_poison_is_put_aside_and_the_rest_goes_on(
    settings: Settings, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = settling.project

    def raises(record: Record) -> Any:
        if record.value is not None and b"job-3" in record.value and record.place.topic == Topic.PROGRESS:
            raise ZeroDivisionError
        return real(record)

    monkeypatch.setattr(settling, "project", raises)
    log = history(6)
    good = [r for r in log.records if not (b"job-3" in (r.value or b"") and r.place.topic == Topic.PROGRESS)]
    not_json = log.put(Topic.JOBS, b"{", key=b"job-1")
    too_large = log.add("ml.job.progressed", progressed("job-9", attempt=2**70))
    outcomes = RecordedOutcomes()
    offsets = await publish(settings, log.records)
    async with projecting(settings, outcomes) as projector:
        await caught_up(projector, offsets)

    assert await rows_of(engine) == await expected_rows(tmp_path, good)
    found = Counter((letter.topic, letter.reason) for letter in outcomes.letters)
    assert found == {(Topic.PROGRESS, "internal_error"): 6, (Topic.JOBS, "not_json"): 1}
    assert {letter.value for letter in outcomes.letters} >= {not_json.value, too_large.value}


async def test_a_locked_database_is_waited_out_and_said_once(
    settings: Settings,
    engine: AsyncEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    tries = asyncio.Event()
    real, count = settling.offsets.advance, Counter[str]()

    async def counted(*args: Any) -> None:
        count["tries"] += 1
        if count["tries"] == 4:
            tries.set()
        await real(*args)

    log = history(3)
    async with projecting(settings) as projector:
        await projector.wait_until_placed()
        monkeypatch.setattr(settling.offsets, "advance", counted)
        async with engine.connect() as holder:
            await holder.exec_driver_sql("BEGIN EXCLUSIVE")
            offsets = await publish(settings, log.records)
            await tries.wait()
        await caught_up(projector, offsets)

    assert await rows_of(engine) == await expected_rows(tmp_path, log.records)
    said = capsys.readouterr().out
    assert (said.count("waiting_out"), said.count("going_on")) == (1, 1)


async def test_another_life_of_the_log_is_read_from_its_beginning(tmp_path: Path, both_brokers: Broker) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    await migrate(url)
    for life, log in enumerate((history(3), history(3, first=3))):
        async with running_broker(tmp_path / str(life), both_brokers, database_url=url) as settings:
            offsets = await publish(settings, log.records)
            async with projecting(settings) as projector:
                await caught_up(projector, offsets)
    engine = open_engine(url)
    rows = await rows_of(engine, without=())
    await engine.dispose()

    assert {row["id"] for row in rows["training_jobs"]} == {f"job-{number}" for number in range(6)}
    assert len({row["epoch"] for row in rows["projected_offsets"]}) == 2


async def test_a_log_that_lost_its_end_is_read_again(settings: Settings, engine: AsyncEngine, tmp_path: Path) -> None:
    log = history(3)
    offsets = await publish(settings, log.records)
    async with projecting(settings) as projector:
        await caught_up(projector, offsets)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE projected_offsets SET next = 1000")
        await connection.exec_driver_sql("DELETE FROM training_jobs")
    async with projecting(settings) as projector:
        for (topic, partition), offset in offsets.items():
            # Said to be at 1000: only what was read again stands behind the last record.
            async with projector._news:
                await projector._news.wait_for(lambda: projector._next.get((topic, partition)) == offset + 1)  # noqa: B023
    assert await rows_of(engine) == await expected_rows(tmp_path, log.records)


async def test_the_first_of_many_names_the_log(tmp_path: Path, both_brokers: Broker) -> None:
    async with running_broker(tmp_path, both_brokers) as settings:
        known = await read_epoch(settings)
        assert known is not None
        assert {*await asyncio.gather(*(ensure_epoch(settings) for _ in range(4)))} == {known}


async def test_run_makes_what_it_needs_and_stops_when_told(tmp_path: Path, both_brokers: Broker) -> None:
    async with running_broker(tmp_path, both_brokers) as settings:
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(run(settings, stop, ready.set))
        await ready.wait()
        stop.set()
        await running
        engine = open_engine(settings.database)
        assert (await rows_of(engine))["training_jobs"] == []
        await engine.dispose()
