"""Rebuilding the tables from the log: what differs is found and mended, whatever runs or dies meanwhile."""

import asyncio
import inspect
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from support.broker import free_port, running_broker
from support.databases import Rows, rows_of
from support.fakes import RecordedOutcomes
from support.histories import Log, request
from support.postgres import running_postgres
from support.replaying import Offsets, caught_up, publish
from support.whole_log import add_job, everything
from typer.testing import CliRunner

from events.topics import Topic
from infra.cli.main import app
from infra.kafka import rebuild as rebuilding
from infra.kafka import replay as replaying
from infra.kafka.burial import PublishedBurial
from infra.kafka.embedded.server import EmbeddedBroker
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.outage import Outage
from infra.kafka.outcomes import KafkaOutcomes
from infra.kafka.projector import PROJECTED, Projector
from infra.kafka.rebuild import Rebuilt, rebuild
from infra.kafka.settling import Settler
from infra.settings import Settings
from infra.storage import fresh
from infra.storage.database import migrate, open_engine
from infra.storage.fresh import RebuildRefused
from infra.storage.offsets import load
from schemas.projection import Record


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Settings]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
        await _emptied(url)
    async with running_broker(tmp_path, database_url=url) as known:
        await migrate(known.database)
        yield known


async def _emptied(url: str) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        for command in ("DROP SCHEMA IF EXISTS omniscope_rebuild CASCADE", "DROP SCHEMA public CASCADE",
                        "CREATE SCHEMA public"):  # fmt: skip
            await connection.execute(text(command))
    await engine.dispose()


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(settings.database)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def projecting(settings: Settings) -> AsyncIterator[Projector]:
    """A projector as it is deployed, burying what it cannot project."""
    engine, stop = open_engine(settings.database), asyncio.Event()
    async with KafkaOutcomes(settings) as outcomes:
        projector = Projector(settings, engine, outcomes)
        running = asyncio.create_task(projector.run(stop))
        try:
            yield projector
        finally:
            stop.set()
            await asyncio.gather(running, return_exceptions=True)
            await engine.dispose()


async def projected(settings: Settings, log: Log, first: int = 0) -> None:
    """The log published and in the tables, as the projector writes them: which takes longer to join its group."""
    outcomes, engine = RecordedOutcomes(), open_engine(settings.database)
    epoch = await ensure_epoch(settings)
    settler = Settler(engine, PublishedBurial(outcomes, broker=Outage("broker")), database=Outage("database"))
    async with engine.begin() as connection:
        await load(connection, epoch, [(topic, number) for topic in PROJECTED for number in range(2)])
    read = log.records[first:]
    while read:
        await publish(settings, read)
        await settler.settle(epoch, [replace(r, place=replace(r.place, epoch=epoch)) for r in read])
        read = [log.bury(letter) for letter in outcomes.letters]
        outcomes.letters.clear()
    await engine.dispose()


async def changed(engine: AsyncEngine, *commands: str) -> None:
    async with engine.begin() as connection:
        for command in commands:
            await connection.execute(text(command))


def found(rebuilt: Rebuilt) -> dict[str, tuple[int, int, int]]:
    """Table → (only in the old, only in the new, different), where anything is."""
    told = {t.table: (t.only_before, t.only_after, t.different) for t in rebuilt.tables}
    return {table: counts for table, counts in told.items() if any(counts)}


async def all_rows(engine: AsyncEngine) -> Rows:
    return await rows_of(engine, without=())


async def test_a_log_with_everything_gives_the_same_tables_again(settings: Settings, engine: AsyncEngine) -> None:
    async with projecting(settings) as projector:
        await caught_up(projector, await publish(settings, everything().records))
    before = await all_rows(engine)
    rebuilt = await rebuild(settings)

    assert (found(rebuilt), rebuilt.identical, rebuilt.refused) == ({}, True, None)
    assert rebuilt.unprojectable == 2
    assert {t.table: t.rows_after for t in rebuilt.tables if t.table in ("training_jobs", "job_events")} == {
        "training_jobs": 8, "job_events": 38,
    }  # fmt: skip
    assert await all_rows(engine) == before
    assert all(table.rows_before for table in rebuilt.tables)


async def test_what_was_tampered_with_is_named_and_mended(settings: Settings, engine: AsyncEngine) -> None:
    await projected(settings, everything())
    before = await all_rows(engine)
    await changed(
        engine,
        "UPDATE training_jobs SET message = 'All is well', attempt = 9 WHERE id = 'job-3'",
        "UPDATE ml_models SET metrics = '{\"auroc\": 1.0}' WHERE id = 'model-1'",
        "DELETE FROM ml_models WHERE id = 'model-4'",
        "DELETE FROM job_events WHERE job_id = 'job-5'",
    )
    tampered = await all_rows(engine)
    looked = await rebuild(settings, dry_run=True)
    assert await all_rows(engine) == tampered
    rebuilt = await rebuild(settings)

    wanted = {"training_jobs": (0, 0, 1), "ml_models": (0, 1, 1), "job_events": (0, 6, 0)}
    assert (found(looked), looked.swapped) == (wanted, False)
    assert (found(rebuilt), rebuilt.swapped) == (wanted, True)
    jobs, models = rebuilt.tables[0], rebuilt.tables[1]
    assert (jobs.examples, jobs.columns) == ({"different": [["job-3"]]}, {"message": 1, "attempt": 1})
    assert models.examples == {"different": [["model-1"]], "only_after": [["model-4"]]}
    assert await all_rows(engine) == before
    assert (await rebuild(settings)).identical


async def test_json_that_says_the_same_is_the_same(settings: Settings, engine: AsyncEngine) -> None:
    await projected(settings, everything())
    (known,) = [row["baseline"] for row in (await all_rows(engine))["ml_models"] if row["id"] == "model-1"]
    other_order = json.dumps(dict(reversed(known.items())), indent=1)
    assert json.loads(other_order) == known
    await changed(engine, f"UPDATE ml_models SET baseline = '{other_order}' WHERE id = 'model-1'")
    assert (await rebuild(settings, dry_run=True)).identical
    await changed(
        engine, f"UPDATE ml_models SET baseline = '{json.dumps({**known, 'beaten': 1})}' WHERE id = 'model-1'"
    )
    assert found(await rebuild(settings, dry_run=True)) == {"ml_models": (0, 0, 1)}


async def test_history_keeps_its_numbers(settings: Settings, engine: AsyncEngine) -> None:
    await projected(settings, everything())
    numbers = "SELECT source || event_id, id FROM job_events WHERE job_id <> 'job-5' ORDER BY id"
    async with engine.connect() as connection:
        before = [tuple(row) for row in await connection.execute(text(numbers))]
    await changed(engine, "DELETE FROM job_events WHERE job_id = 'job-5'")
    await rebuild(settings)
    async with engine.connect() as connection:
        assert [tuple(row) for row in await connection.execute(text(numbers))] == before


async def test_tables_that_are_gone_are_made_again(settings: Settings, engine: AsyncEngine) -> None:
    log = everything()
    await projected(settings, log)
    before = await all_rows(engine)
    for verb in ("DROP TABLE", "DELETE FROM"):
        await changed(engine, *(f"{verb} {table}" for table in before))
        await engine.dispose()
        looked = await rebuild(settings, dry_run=True)
        rebuilt = await rebuild(settings)
        assert (looked.swapped, rebuilt.swapped, found(looked)) == (False, True, found(rebuilt))
        assert await all_rows(engine) == before
    first = len(log.records)
    add_job(log, 20)
    await projected(settings, log, first)
    assert (await rebuild(settings)).identical


async def test_a_projector_goes_on_behind_it(
    settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records arrive before, between and in every step: nothing is skipped, nothing doubled."""
    monkeypatch.setattr("infra.kafka.projector._BATCH", 7)
    offsets, jobs = Offsets(), iter(range(1000))

    async def send(count: int) -> None:
        log = Log()
        for _ in range(count):
            add_job(log, next(jobs))
        offsets.update(await publish(settings, log.records))

    async with projecting(settings) as projector:
        await send(10)
        await projector.wait_until(Topic.MODELS, 0, 1)
        with monkeypatch.context() as patching:
            for name in ("_come_close", "standing_still", "compare", "put_in_place"):
                patching.setattr(rebuilding, name, _after(send, getattr(rebuilding, name)))
            for _ in range(4):
                sending = asyncio.create_task(send(10))
                await changed(engine, "DELETE FROM ml_models WHERE id IN (SELECT min(id) FROM ml_models)")
                rebuilt = await rebuild(settings)
                assert (rebuilt.swapped, found(rebuilt)) == (True, {"ml_models": (0, 1, 0)})
                await sending
        await caught_up(projector, offsets)
    last, n_jobs = await rebuild(settings, dry_run=True), next(jobs)
    rows = await all_rows(engine)
    assert (last.identical, len(rows["training_jobs"]), len(rows["job_events"])) == (True, n_jobs, 6 * n_jobs)


def _after(send: Any, step: Any) -> Any:
    """The step, just before which a few records arrive."""

    async def first_send(*args: Any) -> Any:
        await send(3)
        return await step(*args)

    @asynccontextmanager
    async def first_send_then_stand(*args: Any) -> AsyncIterator[Any]:
        await send(3)
        async with step(*args) as standing:
            yield standing

    return first_send if inspect.iscoroutinefunction(step) else first_send_then_stand


async def test_a_killed_rebuild_leaves_the_tables_alone(settings: Settings, engine: AsyncEngine) -> None:
    await projected(settings, everything())
    await changed(engine, "DELETE FROM ml_models")
    before = await all_rows(engine)
    process = await _held_rebuild(settings)
    with pytest.raises(RebuildRefused, match="another rebuild"):
        await rebuild(settings)
    process.send_signal(signal.SIGKILL)
    await process.wait()

    assert await all_rows(engine) == before
    assert found(await _as_soon_as_it_may(settings)) == {"ml_models": (0, 6, 0)}
    assert not [*Path(settings.data_dir).parent.glob("*.rebuild*")]


async def _held_rebuild(settings: Settings) -> asyncio.subprocess.Process:
    """A rebuild in a process of its own that stands still with the lock held and the fresh tables full."""
    program = (
        "import asyncio, sys\n"
        "from infra.kafka import rebuild\n"
        "async def held(*_):\n"
        "    print('held', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "rebuild.put_in_place = held\n"
        "from infra.settings import load\n"
        "asyncio.run(rebuild.rebuild(load()))\n"
    )
    process = await started(settings, "-c", program)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    return process


async def started(settings: Settings, *words: str) -> asyncio.subprocess.Process:
    """Python in a process of its own, with these settings."""
    environment = {
        **os.environ, "DATA_DIR": str(settings.data_dir), "DATABASE_URL": settings.database,
        "EMBEDDED_KAFKA_PORT": str(settings.embedded_kafka_port), "TOPIC_PARTITIONS": "2",
    }  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *words, env=environment, stdout=pipe, stderr=pipe)


async def _as_soon_as_it_may(settings: Settings) -> Rebuilt:
    """PostgreSQL notices that a client is dead when it next hears from its socket."""
    while True:
        try:
            return await rebuild(settings)
        except RebuildRefused:
            await asyncio.sleep(0.1)


async def test_rows_of_another_life_of_the_log_vanish_only_on_demand(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    for life, number in enumerate((1, 2)):
        log = Log()
        add_job(log, number)
        async with running_broker(tmp_path / str(life), database_url=url) as settings:
            await migrate(url)
            await projected(settings, log)
            rebuilt = await rebuild(settings)
            assert rebuilt.swapped is (life == 0)
            if life == 0:
                continue
            assert rebuilt.refused is not None
            # 1 job, 6 events, 1 model; its lineage is its own as well.
            assert rebuilt.refused.startswith("9 rows would vanish or know less (training_jobs: 1, ml_models: 1, ")
            assert "another life of the log" in rebuilt.refused
            engine = open_engine(url)
            assert {row["id"] for row in (await all_rows(engine))["training_jobs"]} == {"job-1", "job-2"}
            assert (await rebuild(settings, drop_unknown=True)).swapped
            rows = await all_rows(engine)
            await engine.dispose()
            assert {row["id"] for row in rows["training_jobs"]} == {"job-2"}
            assert len({row["epoch"] for row in rows["projected_offsets"]}) == 1


async def test_a_job_that_would_know_less_stops_it(settings: Settings, engine: AsyncEngine) -> None:
    log = Log()
    log.add("ml.automl.requested", request("job-1"))
    await projected(settings, log)
    await changed(engine, "UPDATE training_jobs SET status = 'completed', status_rank = 2")
    rebuilt = await rebuild(settings)
    assert (rebuilt.swapped, rebuilt.tables[0].gone_back) == (False, 1)
    assert rebuilt.refused == (
        "1 rows would vanish or know less (training_jobs: 1), for no record of the log tells of them"
    )
    assert (await rebuild(settings, drop_unknown=True)).swapped
    assert (await rebuild(settings)).identical


async def test_history_that_the_broker_keeps_no_longer_stays(
    settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = everything()
    await projected(settings, log)
    before = await all_rows(engine)
    _trim(monkeypatch, (Topic.PROGRESS, 0), 5)
    rebuilt = await rebuild(settings)
    history = next(table for table in rebuilt.tables if table.table == "job_events")
    assert (rebuilt.trimmed, rebuilt.refused, rebuilt.identical) == ([Topic.PROGRESS], None, True), found(rebuilt)
    assert (history.kept, history.rows_after, history.only_before) == (5, 38, 0)
    assert await all_rows(engine) == before

    _trim(monkeypatch, (Topic.AUTOML, 0), 1)
    _trim(monkeypatch, (Topic.JOBS, 0), 2)
    lossy = await rebuild(settings)
    assert "the broker no longer has the beginning of omniscope.ml.jobs" in str(lossy.refused)
    assert await all_rows(engine) == before


def _trim(monkeypatch: pytest.MonkeyPatch, partition: tuple[str, int], begin: int) -> None:
    """A partition that begins later. The embedded broker drops nothing by itself, so this much of it is made up."""
    real = replaying.Replay._assign

    async def assign(self: Any) -> None:
        await real(self)
        if partition in self._ends and self.begins[partition] < begin:
            self.begins[partition] = begin
            self._consumer.seek(TopicPartition(*partition), begin)

    monkeypatch.setattr(replaying.Replay, "_assign", assign)


async def test_there_must_be_a_log(tmp_path: Path) -> None:

    settings = Settings(data_dir=tmp_path / "data", embedded_kafka_port=free_port())
    settings.make_data_dir()
    async with EmbeddedBroker(settings.embedded_kafka_port, tmp_path / "broker.log"):
        with pytest.raises(RebuildRefused, match="no log of this system"):
            await rebuild(settings)
    assert not (settings.data_dir / "omniscope.db").exists()


async def test_a_database_in_memory_cannot_be_rebuilt() -> None:
    with pytest.raises(RebuildRefused, match="in memory"):
        async with fresh.fresh_tables("sqlite+aiosqlite:///:memory:"):
            pass


async def test_the_command_tells_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_broker(tmp_path) as settings:
        monkeypatch.setenv("DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("EMBEDDED_KAFKA_PORT", str(settings.embedded_kafka_port))

        async def command(*words: str) -> Any:
            return await asyncio.to_thread(CliRunner().invoke, app, ["rebuild", *words])

        await migrate(settings.database)
        engine = open_engine(settings.database)
        await projected(settings, everything())
        await changed(engine, "UPDATE training_jobs SET message = 'All is well' WHERE id = 'job-3'")
        told = await command("--dry-run", "--json")
        report = json.loads(told.stdout)
        assert (told.exit_code, told.stderr, report["identical"], report["swapped"]) == (1, "", False, False)
        assert report["tables"][0]["examples"] == {"different": [["job-3"]]}
        assert report["tables"][0]["identical"] is False

        told = await command()
        assert told.exit_code == 0
        assert "different: job-3" in told.stdout
        assert "The tables are now what the log says" in told.stdout
        told = await command("--dry-run")
        assert (told.exit_code, "Identical, row for row" in told.stdout) == (0, True)

        await changed(engine, "INSERT INTO model_lineage VALUES ('a', 'b', 'made_up')")
        told = await command()
        assert (told.exit_code, "a/b/made_up" in told.stdout) == (1, True)
        assert told.stderr.splitlines()[-1].endswith("nothing was changed (--drop-unknown-rows accepts that)")
        await engine.dispose()


async def test_marks_of_transactions_hold_nothing_up(tmp_path: Path) -> None:
    """On Apache Kafka a partition may end with what no reader gets to see, and hold what never came to be."""
    log = Log()
    add_job(log, 1)
    async with running_broker(tmp_path, "apache") as settings:
        await migrate(settings.database)
        engine = open_engine(settings.database)
        await publish(settings, log.records)
        end = await _in_transactions(settings, log.records[1])
        rebuilt = await rebuild(settings)
        places = {
            (row["topic"], row["partition"]): row["next"] for row in (await all_rows(engine))["projected_offsets"]
        }
        assert (rebuilt.swapped, rebuilt.records) == (True, len(log.records) + 1)
        assert places[Topic.JOBS, 1] == end

        # A projector stands right behind the last record, before the marks.
        await changed(engine, f"UPDATE projected_offsets SET next = {end - 3} WHERE next = {end}")
        assert (await rebuild(settings, dry_run=True)).identical
        await engine.dispose()


async def _in_transactions(settings: Settings, record: Record) -> int:
    """The record once more in a transaction, and one that is given up, each with its mark; where the partition ends."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, transactional_id="test")
    await producer.start()
    try:
        async with producer.transaction():
            told = await producer.send_and_wait(
                record.place.topic, record.value, record.key, partition=1, headers=list(record.headers)
            )
        await producer.begin_transaction()
        await producer.send_and_wait(record.place.topic, b"never", record.key, partition=1)
        await producer.abort_transaction()
        return int(told.offset) + 4
    finally:
        await producer.stop()
