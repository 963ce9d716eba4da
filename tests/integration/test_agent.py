"""A Faust agent on a real broker: raw bytes, many at a time, nothing acknowledged before its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from support.broker import Broker, running_broker

from events.topics import Topic
from infra.jobs.delivery import Delivery
from infra.jobs.ports import Lease
from infra.kafka.agent import Agent
from infra.kafka.connection import client_settings
from infra.kafka.log_epoch import ensure_epoch
from infra.settings import Settings


class Hands:
    """Takes deliveries in hand; those named in `slow` are never finished."""

    def __init__(self, *slow: bytes) -> None:
        self.slow = slow
        self.taken: list[Delivery] = []
        self.finished: list[bytes | None] = []
        self._news = asyncio.Condition()

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        await lease.held()
        self.taken.append(delivery)
        await self._tell()
        if delivery.value in self.slow:
            await asyncio.get_running_loop().create_future()
        self.finished.append(delivery.value)
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, count: int) -> None:
        """Until so many are finished, besides the slow ones."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.finished) >= count)


@asynccontextmanager
async def agent(settings: Settings, hands: Hands) -> AsyncIterator[Agent]:
    one = Agent("noop", Topic.NOOP, hands, settings, await ensure_epoch(settings))
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def send(settings: Settings, *records: tuple[bytes | None, bytes | None, list[Any]]) -> None:
    async with AIOKafkaProducer(**client_settings(settings)) as producer:
        for key, value, headers in records:
            await producer.send_and_wait(Topic.NOOP, value, key, partition=0, headers=headers)


async def test_any_bytes_arrive_as_they_were_sent(tmp_path: Path, both_brokers: Broker) -> None:
    hands = Hands()
    records = [
        (None, b"\xff\xfe no text", [("h", b"\x00"), ("h", b"twice")]),
        (b"key", b"{", []),
        (b"key", None, []),
        (b"", b"", [("empty", b"")]),
    ]
    async with running_broker(tmp_path, both_brokers) as settings, agent(settings, hands):
        await send(settings, *records)
        await hands.until(4)
    assert [(d.key, d.value, list(d.headers)) for d in hands.taken] == records
    assert [d.offset for d in hands.taken] == [0, 1, 2, 3]
    assert all(d.timestamp_ms > 1_600_000_000_000 for d in hands.taken)


async def test_another_log_under_the_same_address_is_noticed_before_anything_is_taken(
    tmp_path: Path, both_brokers: Broker
) -> None:
    hands = Hands()
    async with running_broker(tmp_path, both_brokers) as settings:
        await send(settings, (b"key", b"value", []))
        stale = Agent("noop", Topic.NOOP, hands, settings, "the life before")
        await stale.start()
        assert "lost its log" in await stale.failed()
        await stale.stop()
        assert hands.taken == []
        async with agent(settings, hands):
            await hands.until(1)


async def test_what_was_not_finished_comes_again_and_so_does_all_behind_it(
    tmp_path: Path, both_brokers: Broker
) -> None:
    async with running_broker(tmp_path, both_brokers) as settings:
        await send(settings, *((None, b"%d" % n, []) for n in range(5)))
        first = Hands(b"2")
        async with agent(settings, first):
            await first.until(4)
        second = Hands()
        async with agent(settings, second):
            await second.until(3)
    assert sorted(v for v in first.finished if v) == [b"0", b"1", b"3", b"4"]
    assert [d.value for d in second.taken] == [b"2", b"3", b"4"]


async def test_a_second_worker_takes_over_the_partitions_it_is_given(tmp_path: Path, both_brokers: Broker) -> None:
    async with running_broker(tmp_path, both_brokers) as settings:
        first, second = Hands(), Hands()
        async with agent(settings, first), agent(settings, second):
            async with AIOKafkaProducer(**client_settings(settings)) as producer:
                for n in range(10):
                    await producer.send_and_wait(Topic.NOOP, b"%d" % n, partition=n % 2)
            done: set[bytes | None] = set()
            while len(done) < 10:
                await asyncio.wait(
                    [asyncio.create_task(h.until(len(h.finished) + 1)) for h in (first, second)],
                    return_when=asyncio.FIRST_COMPLETED,
                    timeout=0.5,
                )
                done = set(first.finished) | set(second.finished)
    assert first.finished, "the first worker was left without work"
    assert second.finished, "the second worker was given none"
