"""Many deliveries at a time, acknowledged strictly in order.

Faust commits up to the last acknowledged offset, so an acknowledgement must never overtake a delivery before it:
a worker that dies then gets the earlier one again. A delivery that comes again while it is known here starts
nothing; only its handle, through which it will be acknowledged, is replaced.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from infra.jobs.delivery import Delivery
from infra.jobs.retries import patiently

log = structlog.get_logger(__name__)

Place = tuple[str, int]
Handle = Callable[[Delivery], Awaitable[None]]
Acknowledge = Callable[[], Awaitable[Any]]

#: Deliveries in hand at a time, running or waiting for a slot or a dataset.
WINDOW = 100


class _Partition:
    """The deliveries of one partition that are in hand, in the order of their offsets."""

    def __init__(self) -> None:
        self.order: deque[int] = deque()
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.done: set[int] = set()
        self.acknowledge: dict[int, Acknowledge] = {}
        self.acknowledged = -1


class Tracker:
    """Runs `handle` for every delivery of the partitions that are ours."""

    def __init__(self, handle: Handle, window: int = WINDOW) -> None:
        self._handle = handle
        self._window = asyncio.Semaphore(window)
        self._partitions: dict[Place, _Partition] = {}
        self._ours: set[Place] | None = None
        self._closed = False

    async def deliver(self, delivery: Delivery, acknowledge: Acknowledge) -> None:
        """Takes a delivery in hand; returns when there is room for the next one."""
        place, offset = (delivery.topic, delivery.partition), delivery.offset
        if self._ours is not None and place not in self._ours:
            return  # was on its way here when the partition went to somebody else
        partition = self._partitions.setdefault(place, _Partition())
        if offset <= partition.acknowledged:
            await acknowledge()
            return
        if offset in partition.acknowledge:
            partition.acknowledge[offset] = acknowledge
            await self._release(place)
            return
        await self._window.acquire()
        if self._closed or self._partitions.get(place) is not partition:
            self._window.release()  # lost while it waited for room: it comes again, here or elsewhere
            return
        partition.order.append(offset)
        partition.acknowledge[offset] = acknowledge
        task = asyncio.create_task(self._run(place, partition, delivery), name=f"{place[0]}[{place[1]}]@{offset}")
        partition.tasks[offset] = task

    def keep_only(self, places: Iterable[Place]) -> None:
        """The partitions that are ours from now on; deliveries of the others are stopped."""
        self._ours = set(places)
        for place in [place for place in self._partitions if place not in self._ours]:
            self._drop(place)

    async def close(self) -> None:
        """Stops everything and waits until it has stopped."""
        self._closed = True
        tasks = [task for place in list(self._partitions) for task in self._drop(place)]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, place: Place) -> list[asyncio.Task[None]]:
        partition = self._partitions.pop(place)
        if partition.tasks:
            log.info("partition_lost", topic=place[0], partition=place[1], running=len(partition.tasks))
        for task in partition.tasks.values():
            task.cancel()
        return list(partition.tasks.values())

    async def _run(self, place: Place, partition: _Partition, delivery: Delivery) -> None:
        try:
            # What `handle` raises is infrastructure's fault: the delivery stays in hand until it succeeds.
            await patiently(lambda: self._handle(delivery), f"{place[0]}[{place[1]}]@{delivery.offset}", only=Exception)
            partition.done.add(delivery.offset)
        finally:
            partition.tasks.pop(delivery.offset, None)
            self._window.release()
        if self._partitions.get(place) is partition:
            await self._release(place)

    async def _release(self, place: Place) -> None:
        """Acknowledges what is done at the head of the partition."""
        partition = self._partitions[place]
        while partition.order and partition.order[0] in partition.done:
            offset = partition.order.popleft()
            partition.done.discard(offset)
            partition.acknowledged = offset
            await partition.acknowledge.pop(offset)()
