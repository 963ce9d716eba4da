"""The registrar on both brokers and a real MLflow store: live, two at a time, restarted, rebuilt, MLflow away."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from support.broker import Broker, running_broker
from support.fakes import RecordedOutcomes
from support.histories import Log, ended, failed, model, progressed, request, started
from support.tracking import all_of, blank_database, runs_by_job

from events.envelope import CloudEvent
from events.topics import Topic
from infra.kafka.outcomes import KafkaOutcomes
from infra.settings import Settings
from infra.tracking import log_reader, waiting
from infra.tracking.registrar import Registrar, run
from infra.tracking.tracking_store import TrackingStore, open_tracking_store
from schemas.projection import Record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Offsets = dict[tuple[str, int], int]


@pytest.fixture
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blank_database(tmp_path_factory)


@pytest.fixture
async def settings(tmp_path: Path, blank: Path, both_brokers: Broker) -> AsyncIterator[Settings]:
    async with running_broker(tmp_path, both_brokers) as settings:
        shutil.copy(blank, settings.data_dir / "mlflow.db")
        yield settings


@asynccontextmanager
async def registering(settings: Settings, outcomes: Any = None) -> AsyncIterator[Registrar]:
    """A registrar with clients of its own, as another process has them."""
    stop, one = asyncio.Event(), Registrar(settings, outcomes or RecordedOutcomes())
    running = asyncio.create_task(one.run(stop))
    try:
        yield one
        stop.set()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Speaker:
    """Publishes records where a `Log` put them, and remembers where they came to stand."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self.last: Offsets = {}

    async def say(self, records: Iterable[Record], *, now: bool = False) -> None:
        """With `now`, as if they happened now and not in spring."""
        for record in records:
            stood = await self._producer.send_and_wait(
                record.place.topic, record.value, record.key, partition=record.place.partition,
                headers=list(record.headers), timestamp_ms=None if now else record.place.timestamp_ms,
            )  # fmt: skip
            self.last[stood.topic, stood.partition] = stood.offset

    async def heard_by(self, one: Registrar) -> None:
        for (topic, partition), offset in self.last.items():
            await one.wait_until(topic, partition, offset)


@asynccontextmanager
async def speaking(settings: Settings) -> AsyncIterator[Speaker]:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        yield Speaker(producer)


async def until(holds: Callable[[], bool]) -> None:
    """MLflow can be asked and not awaited."""
    while not holds():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.02)


def history(n_jobs: int) -> Log:
    """Jobs over both partitions that overlap, end in every way, and make models of one dataset and target."""
    log = Log()
    partition_of = {number: number % 2 for number in range(n_jobs)}
    for number, partition in partition_of.items():
        job, at = f"job-{number}", number * 10.0
        about = {"training_config": request(job), "validation_score": 0.5 + (number * 7 % 10) / 100}
        log.add("ml.job.started", started(job), partition=partition, at_s=at)
        for seq in range(3):
            log.add("ml.job.progressed", progressed(job, seq=seq), partition=partition, at_s=at + 1 + seq)
        if number % 4 == 3:
            log.add("ml.job.failed", failed(job), partition=partition, at_s=at + 15)
        else:
            made = f"model-{number}"
            data = model(made, job, created_at=f"2026-03-01T12:{number:02}:00Z", **about)
            log.add("ml.model.completed", data, partition=1 - partition, at_s=at + 15)
            log.add("ml.job.completed", ended(job, model_id=made), partition=partition, at_s=at + 15)
    return log


def promotion(log: Log, made: str, at_s: float) -> Record:
    return log.add("ml.model-promotion.requested", {"model_id": made, "approved_by": "grace"}, at_s=at_s)


def aliases(store: TrackingStore) -> dict[str, Any]:
    told: dict[str, Any] = all_of(store)["aliases"]
    return told


async def test_a_job_is_followed_while_it_runs_and_a_promotion_may_come_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, log = RecordedOutcomes(), Log()
    async with speaking(settings) as speaker, registering(settings, outcomes) as one:
        await one.wait_until_leading()
        store = open_tracking_store(settings)
        # Promoted before anything is known of it, and one that never comes: neither holds anything up.
        early, never = promotion(log, "model-0", at_s=0), promotion(log, "model-nowhere", at_s=1)
        await speaker.say([early, never], now=True)
        speaker.last.clear()

        jobs = [f"job-{number}" for number in range(2)]
        begun = [log.add("ml.job.started", started(job), partition=n) for n, job in enumerate(jobs)]
        words = [log.add("ml.job.progressed", progressed(job, seq=seq)) for job in jobs for seq in (1, 2)]
        await speaker.say([*begun, *words], now=True)
        await until(lambda: {*jobs} <= {*runs_by_job(store)})
        await until(lambda: all(r.data.metrics.get("progress") == 2.0 for r in runs_by_job(store).values()))
        assert {r.info.status for r in runs_by_job(store).values()} == {"RUNNING"}

        # Both end at the same moment, on two partitions.
        ends = [
            record
            for n, job in enumerate(jobs)
            for record in (
                log.add("ml.model.completed", model(f"model-{n}", job, validation_score=0.7 + n / 10,
                        training_config=request(job)), partition=n, at_s=60),
                log.add("ml.job.completed", ended(job, model_id=f"model-{n}"), partition=n, at_s=60),
            )
        ]  # fmt: skip
        await speaker.say(ends, now=True)
        await speaker.heard_by(one)
        await until(lambda: "champion" in aliases(store)["cohort.outcome"])
        by_alias = {
            alias: store.client.get_model_version_by_alias("cohort.outcome", alias).tags["model_id"]
            for alias in ("challenger", "champion")
        }
        assert by_alias == {"challenger": "model-1", "champion": "model-0"}
        assert {r.info.status for r in runs_by_job(store).values()} == {"FINISHED"}

        assert outcomes.letters == []
        monkeypatch.setattr(waiting, "PROMOTION_S", -1e9)  # its time is over
        await one.wait_until(Topic.MODEL_PROMOTION, 0, never.place.offset)
        assert [(letter.reason, letter.offset) for letter in outcomes.letters] == [("model_unknown", 1)]
        assert sorted((e.name, e.subject) for _, e in outcomes.events) == [
            ("ml.model.promoted", "model-0"), ("ml.model.registered", "model-0"), ("ml.model.registered", "model-1"),
        ]  # fmt: skip


async def test_a_dropped_store_is_filled_again_and_a_restart_changes_nothing(
    settings: Settings, blank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "_BATCH", 7)
    log = history(8)
    log.records.append(promotion(log, "model-4", at_s=300))
    async with speaking(settings) as speaker:
        await speaker.say(log.records)
        async with registering(settings, outcomes := RecordedOutcomes()) as one:
            await speaker.heard_by(one)
        first = all_of(open_tracking_store(settings))
        assert (len(first["runs"]), len(first["versions"])) == (8, 6)

        async with registering(settings, again := RecordedOutcomes()) as one:
            await speaker.heard_by(one)
        assert all_of(open_tracking_store(settings)) == first
        assert again.events == [], "it went on where it was"

        elsewhere = settings.model_copy(update={"mlflow_tracking_uri": f"sqlite:///{settings.data_dir}/second.db"})
        shutil.copy(blank, settings.data_dir / "second.db")
        async with registering(elsewhere, rebuilt := RecordedOutcomes()) as one:
            await speaker.heard_by(one)
    assert all_of(open_tracking_store(elsewhere)) == first
    assert _told(rebuilt.events) == _told(outcomes.events)


def _told(events: list[tuple[str, CloudEvent]]) -> list[Any]:
    """What was told, in terms that hold in every store."""
    return [(event.name, {k: v for k, v in event.data.items() if k != "mlflow_run_id"}) for _, event in events]


async def test_of_two_one_writes_and_the_other_takes_over(settings: Settings) -> None:
    log = history(8)
    half = len(log.records) // 2
    # What they tell stands on a topic that they read.
    async with KafkaOutcomes(settings) as out, speaking(settings) as speaker, registering(settings, out) as second:
        first = Registrar(settings, out)
        await second.wait_until_leading()
        stop = asyncio.Event()
        running = asyncio.create_task(first.run(stop))
        await speaker.say(log.records[:half])
        await speaker.heard_by(second)
        assert (first.leads, first.writes) == (False, 0)

        await speaker.say(log.records[half:])
        await second._log.stop()  # it is gone from the group, in the middle of whatever it does
        await first.wait_until_leading()
        await speaker.heard_by(first)
        assert first.writes > 0
        store = open_tracking_store(settings)
        assert len(runs_by_job(store)) == 8
        assert len({v.tags["job_id"] for v in store.client.search_model_versions()}) == 6
        stop.set()
        await running


async def test_a_store_that_is_away_is_waited_out_and_said_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries, enough = [0], asyncio.Event()
    loop = asyncio.get_running_loop()

    def away(*_: object, **__: object) -> None:
        tries[0] += 1
        if tries[0] > 3:
            loop.call_soon_threadsafe(enough.set)
        raise ConnectionError("nobody answers")

    log = history(2)
    async with speaking(settings) as speaker, registering(settings) as one:
        await one.wait_until_leading()
        client = type(open_tracking_store(settings).client)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name in ("create_run", "set_experiment_tag", "log_batch", "search_runs"):
                patch.setattr(client, name, away)
            await speaker.say(log.records)
            await enough.wait()
        await speaker.heard_by(one)
    store = open_tracking_store(settings)
    assert {run.info.status for run in runs_by_job(store).values()} == {"FINISHED"}
    said = capsys.readouterr().out
    assert (said.count("waiting_out"), said.count("going_on"), said.count("left_out")) == (1, 1, 0)


async def test_run_makes_what_it_needs_and_tells_the_log(tmp_path: Path, blank: Path, both_brokers: Broker) -> None:
    async with running_broker(tmp_path, both_brokers) as settings, speaking(settings) as speaker:
        shutil.copy(blank, settings.data_dir / "mlflow.db")
        store = open_tracking_store(settings)
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(run(settings, stop, ready.set))
        await ready.wait()
        await speaker.say(history(1).records)
        await until(lambda: any("told_in" in one.tags for one in store.client.search_model_versions()))
        stop.set()
        await running
