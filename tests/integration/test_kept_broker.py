"""The embedded broker with its log on disk: stopped, started, disturbed, on a full disk, with a damaged file."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from support.broker import free_port

from events.topics import Topic
from infra.kafka.embedded import following, restore
from infra.kafka.embedded.batches import holes
from infra.kafka.embedded.following import Follower
from infra.kafka.embedded.journal import Journal
from infra.kafka.embedded.journal_file import JournalError
from infra.kafka.embedded.kept import keep
from infra.kafka.embedded.plain_client import PlainClient
from infra.kafka.embedded.server import BrokerError
from infra.kafka.log_epoch import read_epoch
from infra.kafka.topics import admin
from infra.settings import Settings

pytestmark = pytest.mark.timeout(120)

PLACE = TopicPartition("somebody's", 2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", embedded_kafka_port=free_port(), topic_partitions=2, kafka_bootstrap_servers=None
    )


@asynccontextmanager
async def kept(settings: Settings) -> AsyncIterator[None]:
    """A broker that keeps its log, from ready to stopped."""
    stop, ready = asyncio.Event(), asyncio.Event()
    keeping = asyncio.create_task(keep(settings, stop, ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([keeping, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if keeping.done():
        keeping.result()
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(keeping, return_exceptions=True)


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all", linger_ms=5) as sending:
        yield sending


async def make_topic(settings: Settings) -> None:
    async with admin(settings) as client:
        await client.create_topics([NewTopic(PLACE.topic, 3, 1)])


async def fill(settings: Settings) -> None:
    """Records of every shape, and a group that has read some of them."""
    await make_topic(settings)
    async with producer(settings) as sending:
        for number in range(300):
            value = b"value %d" % number if number % 7 else None
            key = b"key" if number % 3 or value is None else None
            headers = [("one", b"x"), ("empty", b"")] if number % 5 else []
            topic = PLACE.topic if number % 2 else Topic.JOBS
            await sending.send(topic, value, key, headers=headers, timestamp_ms=1_000_000 + number)
        batch = sending.create_batch()
        batch.append(timestamp=123, key=None, value=None, headers=[("nothing", None)])
        await (await sending.send_batch(batch, PLACE.topic, partition=PLACE.partition))
        await sending.flush()
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id="readers", enable_auto_commit=False
    ) as reader:
        reader.assign([PLACE])
        await reader.commit({PLACE: 7})


async def contents(settings: Settings) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Every record by its place, and what every group has committed."""
    records: dict[Any, Any] = {}
    async with PlainClient(settings) as client:
        places = [(name, number) for name, count in (await client.topics()).items() for number in range(count)]
        ends = {place: end for place, (end, _) in (await client.fetch(dict.fromkeys(places, 0), wait_ms=1)).items()}
        groups = {group: await client.committed(group, places) for group in await client.groups()}
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="none", enable_auto_commit=False
    ) as reader:
        partitions = [TopicPartition(*place) for place in places]
        reader.assign(partitions)
        for partition in partitions:
            reader.seek(partition, 0)
        while any([await reader.position(partition) < ends[tuple(partition)] for partition in partitions]):
            for read in (await reader.getmany(timeout_ms=200)).values():
                for one in read:
                    place = (one.topic, one.partition, one.offset)
                    records[place] = (one.timestamp, one.key, one.value, one.headers)
    return records, groups


async def test_everything_is_there_again_however_often_it_is_restarted(settings: Settings) -> None:
    async with kept(settings):
        await fill(settings)
        before, epoch = await contents(settings), await read_epoch(settings)
    assert len(before[0]) == 302, "300, the one without anything, and the log's name"
    for _ in range(2):
        async with kept(settings):
            assert await contents(settings) == before
            assert await read_epoch(settings) == epoch
    async with kept(settings), producer(settings) as sending:
        last = max(offset for topic, partition, offset in before[0] if (topic, partition) == PLACE)
        sent = await sending.send_and_wait(PLACE.topic, b"next", partition=PLACE.partition)
        assert sent.offset == last + 1, "after a clean end nothing is left out"


async def test_after_an_end_that_nobody_saw_no_offset_is_given_away_twice(settings: Settings) -> None:
    async with kept(settings):
        await fill(settings)
        before = await contents(settings)
    with closing(Journal.open(settings.broker_journal)) as journal:
        journal.end(well=False)
    async with kept(settings), producer(settings) as sending:
        records, groups = await contents(settings)
        assert records == before[0]
        assert groups == before[1]
        ends = {(topic, partition): offset + 1 for topic, partition, offset in sorted(records)}
        sent = await sending.send_and_wait(PLACE.topic, b"next", partition=PLACE.partition)
        assert sent.offset == ends[PLACE] + 1000
        # Whoever stood at the end, or believed to be further on than the log is, gets what comes next.
        for stood_at in (ends[PLACE], ends[PLACE] + 10):
            assert await next_after(settings, stood_at) == sent.offset
        before = await contents(settings)
    async with kept(settings):
        assert await contents(settings) == before, "holes are restored like anything else"


async def next_after(settings: Settings, offset: int) -> int:
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        reader.assign([PLACE])
        reader.seek(PLACE, offset)
        return int((await reader.getone()).offset)


async def test_progress_older_than_a_week_is_gone_and_all_else_stands_where_it_stood(settings: Settings) -> None:
    async with kept(settings), producer(settings) as sending:
        await fill(settings)
        long_ago, now = 1_000_000, int(time.time() * 1000)
        for timestamp, count in ((long_ago, 1500), (now, 1), (long_ago, 1), (now, 1)):
            for _ in range(count):
                await sending.send(Topic.PROGRESS, b"progress", partition=0, timestamp_ms=timestamp)
            await sending.flush()
        before, groups = await contents(settings)
    old = {(Topic.PROGRESS, 0, offset) for offset in range(1500)}
    for _ in range(2):
        async with kept(settings):
            records, committed = await contents(settings)
            assert {place: record for place, record in before.items() if place not in old} == records
            assert committed == groups


async def test_a_topic_that_was_deleted_does_not_come_back_and_one_made_anew_is_new(settings: Settings) -> None:
    async with kept(settings), producer(settings) as sending:
        await fill(settings)
        async with admin(settings) as client:
            await client.delete_topics([PLACE.topic])
            await client.create_topics([NewTopic(PLACE.topic, 3, 1)])
        await sending.send_and_wait(PLACE.topic, b"another life", partition=0)
    async with kept(settings):
        records, _ = await contents(settings)
    assert [value for (topic, *_), (_, _, value, _) in records.items() if topic == PLACE.topic] == [b"another life"]


async def test_a_publisher_that_is_too_early_is_noticed_and_the_log_comes_back_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kept(settings):
        await fill(settings)
        before = await contents(settings)
    early = iter([True])

    async def made(*arguments: Any) -> None:
        await make(*arguments)
        if next(early, False):
            async with producer(settings) as sending:
                await sending.send_and_wait(Topic.JOBS, b"too early", partition=0)

    make = restore._make
    monkeypatch.setattr(restore, "_make", made)
    async with kept(settings):
        assert await contents(settings) == before
    assert next(early, None) is None, "nobody was early"


async def test_a_publisher_that_is_always_too_early_is_told_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kept(settings):
        await fill(settings)

    async def made(*arguments: Any) -> None:
        async with admin(settings) as client:
            await client.create_topics([NewTopic(PLACE.topic, 5, 1)])
        await make(*arguments)

    make = restore._make
    monkeypatch.setattr(restore, "_make", made)
    with pytest.raises(BrokerError, match=r"in 5 tries.*start publishers after «Ready»"):
        async with kept(settings):
            pytest.fail("it is not what it was")


def damage_by_noise(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 40)


def damage_by_cutting(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage_by_emptying(file: Path) -> None:
    file.write_bytes(b"")


def damage_a_record(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"value 11", b"value 77"))


def damage_by_taking_a_record_out(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("DELETE FROM batch WHERE base = 3")
    db.close()


def damage_by_another_version(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def damage_by_another_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE something (else_ TEXT)")
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        damage_by_noise,
        damage_by_cutting,
        damage_by_emptying,
        damage_a_record,
        damage_by_taking_a_record_out,
        damage_by_another_version,
        damage_by_another_program,
    ],
)
async def test_a_damaged_journal_is_refused_by_name_and_left_as_it_is(
    settings: Settings, damage: Callable[[Path], None]
) -> None:
    async with kept(settings), producer(settings) as sending:
        await make_topic(settings)
        for number in range(40):
            await sending.send_and_wait(PLACE.topic, b"value %d" % number, partition=0)
    damage(settings.broker_journal)
    told = f"{re.escape(str(settings.broker_journal))}, is damaged.*put a backup in its place, or move it away"
    with pytest.raises(JournalError, match=told):
        async with kept(settings):
            pytest.fail("it was used")
    assert settings.broker_journal.exists()


async def test_a_journal_that_was_moved_away_begins_a_new_log(settings: Settings) -> None:
    async with kept(settings):
        await fill(settings)
        first = await read_epoch(settings)
    settings.broker_journal.rename(settings.broker_journal.with_name("elsewhere"))
    async with kept(settings):
        assert await read_epoch(settings) not in (None, first)


async def test_a_second_broker_on_the_same_directory_is_refused(settings: Settings) -> None:
    async with kept(settings):
        second = settings.model_copy(update={"embedded_kafka_port": free_port()})
        with pytest.raises(JournalError, match="is in use: another broker runs on this data directory"):
            async with kept(second):
                pytest.fail("two brokers write one file")


async def test_on_a_full_disk_the_broker_works_on_and_what_it_holds_is_written_when_there_is_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Journal] = []
    open_ = Journal.open
    monkeypatch.setattr(Journal, "open", lambda path: opened.append(open_(path)) or opened[-1])
    async with kept(settings), producer(settings) as sending:
        await make_topic(settings)
        (pages,) = opened[0]._db.execute("PRAGMA page_count").fetchone()
        # SQLite then says what a full disk makes it say.
        opened[0]._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        full = asyncio.Event()
        begun = following.Outage._has_begun
        monkeypatch.setattr(following.Outage, "_has_begun", lambda self, error: (full.set(), begun(self, error))[1])
        for number in range(20):
            await sending.send_and_wait(PLACE.topic, bytes(10_000), partition=0, key=b"%d" % number)
        await full.wait()
        await sending.send_and_wait(PLACE.topic, b"taken all the same", partition=0)
        opened[0]._db.execute("PRAGMA max_page_count = 1000000")
    async with kept(settings):
        records, _ = await contents(settings)
    assert records[PLACE.topic, 0, 20][2] == b"taken all the same"


async def test_a_full_disk_does_not_hold_up_the_end(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.kafka.embedded.kept._LAST_WRITING_S", 0.5)
    opened: list[Journal] = []
    open_ = Journal.open
    monkeypatch.setattr(Journal, "open", lambda path: opened.append(open_(path)) or opened[-1])
    full = asyncio.Event()
    begun = following.Outage._has_begun
    monkeypatch.setattr(following.Outage, "_has_begun", lambda self, error: (full.set(), begun(self, error))[1])
    async with kept(settings), producer(settings) as sending:
        await make_topic(settings)
        (pages,) = opened[0]._db.execute("PRAGMA page_count").fetchone()
        opened[0]._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        for number in range(20):
            await sending.send_and_wait(PLACE.topic, bytes(10_000), partition=0, key=b"%d" % number)
        await full.wait()
    with closing(open_(settings.broker_journal)) as journal:
        assert not journal.ended_well


class SlowClient:
    """A broker that tells of more records than it hands over at a time, and of a group that has read them all."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches
        self._handed_over = 0

    async def topics(self) -> dict[str, int]:
        return {"t": 1}

    async def groups(self) -> list[str]:
        return ["g"]

    async def committed(self, group: str, partitions: Any) -> dict[Any, int]:
        return {("t", 0): len(self._batches)}

    async def fetch(self, places: Any, *, wait_ms: int) -> Any:
        self._handed_over += 1
        return {("t", 0): (len(self._batches), self._batches[: self._handed_over])}


async def test_what_a_group_has_read_is_written_only_with_the_last_record_of_that_moment(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "broker.db")
    told: list[tuple[int, Any]] = []
    write = journal.write

    def noted(topics: Any, batches: Any, committed: Any, complete_ms: Any) -> None:
        write(topics, batches, committed, complete_ms)
        told.append((journal.ends()["t", 0], journal.committed()))

    journal.write = noted  # type: ignore[method-assign]
    batches = [one for base in range(4) for one in holes(base, base + 1)]
    await Follower(SlowClient(batches), journal).drain()  # type: ignore[arg-type]
    assert told == [(1, {}), (2, {}), (3, {}), (4, {"g": {("t", 0): 4}})]
    journal.close()


async def test_the_journal_is_not_called_complete_before_what_was_lost_is_told_again(tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path / "broker.db")) as journal:
        before = journal.complete_ms
        batches = [one for base in range(3) for one in holes(base, base + 1)]
        follower = Follower(SlowClient(batches), journal)  # type: ignore[arg-type]
        await follower.drain()
        assert journal.ends()["t", 0] == 3
        assert journal.complete_ms == before, "a second crash would not find what the first one cost"
        follower.vouches = True
        batches += list(holes(3, 4))
        await follower.drain()
        assert journal.complete_ms > before
