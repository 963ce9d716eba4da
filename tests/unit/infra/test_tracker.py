"""Deliveries in flight: acknowledged in order, recognised when they come again, stopped when their partition goes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.jobs.delivery import Delivery
from infra.kafka.tracker import Tracker

TOPIC = "requests"


def delivery(offset: int, partition: int = 0) -> Delivery:
    return Delivery("e", TOPIC, partition, offset, 0, None, None)


class Work:
    """Jobs that end when they are told to."""

    def __init__(self) -> None:
        self.gates: dict[tuple[int, int], asyncio.Event] = {}
        self.started: list[tuple[int, int]] = []
        self.ended: list[tuple[int, int]] = []
        self.cancelled: list[tuple[int, int]] = []
        self.acknowledged: list[tuple[int, int]] = []

    async def handle(self, delivery: Delivery) -> None:
        at = (delivery.partition, delivery.offset)
        self.started.append(at)
        try:
            await self.gates.setdefault(at, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(at)
            raise
        self.ended.append(at)

    def acknowledge(self, partition: int, offset: int) -> Callable[[], Any]:
        async def acknowledge() -> None:
            self.acknowledged.append((partition, offset))

        return acknowledge

    def finish(self, offset: int, partition: int = 0) -> None:
        self.gates.setdefault((partition, offset), asyncio.Event()).set()


async def deliver(tracker: Tracker, work: Work, offset: int, partition: int = 0) -> None:
    await tracker.deliver(delivery(offset, partition), work.acknowledge(partition, offset))
    await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_fast_delivery_behind_a_slow_one_waits_for_it() -> None:
    work = Work()
    tracker = Tracker(work.handle)
    for offset in range(3):
        await deliver(tracker, work, offset)
    work.finish(2)
    work.finish(1)
    await settle()
    assert work.acknowledged == []
    work.finish(0)
    await settle()
    assert work.acknowledged == [(0, 0), (0, 1), (0, 2)]


async def test_a_delivery_that_comes_again_starts_nothing_and_is_acknowledged_through_its_new_handle() -> None:
    work = Work()
    tracker = Tracker(work.handle)
    await deliver(tracker, work, 0)
    newer: list[str] = []

    async def acknowledge() -> None:
        newer.append("acknowledged")

    await tracker.deliver(delivery(0), acknowledge)
    work.finish(0)
    await settle()
    assert work.started == [(0, 0)]
    assert newer == ["acknowledged"]
    assert work.acknowledged == []


async def test_what_was_acknowledged_is_acknowledged_again_at_once() -> None:
    work = Work()
    tracker = Tracker(work.handle)
    await deliver(tracker, work, 0)
    work.finish(0)
    await settle()
    await deliver(tracker, work, 0)
    assert work.acknowledged == [(0, 0), (0, 0)]
    assert work.started == [(0, 0)]


async def test_lost_partitions_stop_and_the_others_go_on() -> None:
    work = Work()
    tracker = Tracker(work.handle)
    await deliver(tracker, work, 0, partition=0)
    await deliver(tracker, work, 0, partition=1)
    tracker.keep_only([(TOPIC, 1)])
    await settle()
    assert work.cancelled == [(0, 0)]
    work.finish(0, partition=1)
    await settle()
    assert work.acknowledged == [(1, 0)]


async def test_a_partition_that_comes_back_is_taken_up_afresh() -> None:
    work = Work()
    tracker = Tracker(work.handle)
    await deliver(tracker, work, 5)
    tracker.keep_only([])
    await deliver(tracker, work, 5)  # was on its way when the partition was lost
    assert work.started == [(0, 5)]
    tracker.keep_only([(TOPIC, 0)])
    await deliver(tracker, work, 5)
    assert work.started == [(0, 5), (0, 5)]


async def test_the_window_bounds_what_is_in_hand() -> None:
    work = Work()
    tracker = Tracker(work.handle, window=2)
    await deliver(tracker, work, 0)
    await deliver(tracker, work, 1)
    third = asyncio.create_task(deliver(tracker, work, 2))
    await settle()
    assert work.started == [(0, 0), (0, 1)]
    work.finish(1)
    await third
    assert work.started == [(0, 0), (0, 1), (0, 2)]


async def test_closing_stops_everything() -> None:
    work = Work()
    tracker = Tracker(work.handle)
    await deliver(tracker, work, 0)
    await tracker.close()
    assert work.cancelled == [(0, 0)]
    assert work.acknowledged == []


async def test_a_fault_of_the_infrastructure_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    tries: list[int] = []
    done = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        tries.append(delivery.offset)
        if len(tries) < 3:
            raise OSError("no space left on device")

    async def acknowledge() -> None:
        done.set()

    await Tracker(handle).deliver(delivery(0), acknowledge)
    await done.wait()
    assert tries == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(8)), again=st.lists(st.integers(0, 7), max_size=5))
def test_in_any_order_of_ends_acknowledgements_never_overtake(order: list[int], again: list[int]) -> None:
    async def run() -> Work:
        work = Work()
        tracker = Tracker(work.handle)
        for offset in range(8):
            await deliver(tracker, work, offset)
        for offset in order:
            work.finish(offset)
            await settle()
            unfinished = set(range(8)) - {o for _, o in work.ended}
            highest = max((o for _, o in work.acknowledged), default=-1)
            assert not unfinished or highest < min(unfinished)
        for offset in again:
            await deliver(tracker, work, offset)
        return work

    work = asyncio.run(run())
    assert [o for _, o in work.acknowledged[:8]] == list(range(8))
    assert len(work.started) == 8
