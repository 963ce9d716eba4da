"""One agent: a Faust app that hands the deliveries of one request topic to whoever carries them out."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from events.errors import BrokerUnreachable
from infra.jobs.delivery import Delivery
from infra.jobs.faults import Carrier
from infra.jobs.retries import patiently
from infra.settings import Settings

from .closing import at_most
from .faust_app import build
from .log_epoch import read_epoch
from .membership import Membership
from .tracker import Tracker

log = structlog.get_logger(__name__)

#: The longest pause between two looks at a broker that is away: jobs wait for the answer when it is back.
_LOOK_AGAIN_S = 1.0
_COMMIT_S = 5.0
_STOP_S = 10.0


class Agent:
    """Consumes `topic` as group `omniscope-ml.<name>`."""

    def __init__(self, name: str, topic: str, carrier: Carrier, settings: Settings, epoch: str) -> None:
        self.name = name
        self._epoch = epoch
        self._settings = settings
        self._membership = Membership(settings.kafka_session_timeout_s)
        self._tracker = Tracker(lambda delivery: carrier.handle(delivery, self._membership))
        self._assigned = asyncio.Event()
        self._other_log = asyncio.Event()
        #: Set while it is certain which partitions are ours, and that the log is the one we know.
        self._placed = asyncio.Event()
        self._app, requests = build(name, topic, settings, self._membership)
        self._app.agent(requests, name=name)(self._consume)
        self._app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self._app.on_partitions_assigned.connect(self._on_assigned, weak=False)

    async def start(self) -> None:
        """Joins the group; returns when partitions (perhaps none) are assigned."""
        self._app.finalize()
        await self._app.start()
        await _first(self._assigned.wait(), self._app._crashed.wait(), self._other_log.wait())
        log.info("agent_ready", agent=self.name)

    async def failed(self) -> str:
        """Returns when this agent can work no longer, with the reason."""
        await _first(self._app._crashed.wait(), self._other_log.wait(), self._membership.replaced.wait())
        if self._membership.replaced.is_set():
            return f"another worker has the name WORKER_ID={self._settings.worker_id}: give each one of its own"
        if self._other_log.is_set():
            return "the broker has lost its log and begun another"
        return f"{self.name} died: {self._app.crash_reason!r}"

    async def stop(self) -> None:
        """Stops what still runs, commits what is acknowledged and leaves the group, all within a time limit."""
        await self._tracker.close()
        await at_most(_COMMIT_S, self._app.consumer.commit())
        await at_most(_STOP_S, self._app.stop())

    async def _consume(self, stream: Any) -> None:
        stream = stream.noack()
        async for event in stream.events():
            await self._placed.wait()
            await self._tracker.deliver(_delivery(event.message, self._epoch), partial(stream.ack, event))

    async def _on_revoked(self, app: Any, revoked: Any, **_: Any) -> None:
        self._placed.clear()
        self._membership.unsettle()

    async def _on_assigned(self, app: Any, assigned: Any, **_: Any) -> None:
        # First of all: whoever has the others by now begins their jobs in this moment.
        self._tracker.keep_only((place.topic, place.partition) for place in assigned)
        epoch = await patiently(
            lambda: read_epoch(self._settings),
            "read the log's name",
            only=(BrokerUnreachable, KafkaError, OSError),
            longest=_LOOK_AGAIN_S,
        )
        if epoch != self._epoch:
            # The same offsets now mean other records: nothing that is known here holds any more.
            self._other_log.set()
            await self._tracker.close()
            return
        self._membership.settle()
        self._placed.set()
        self._assigned.set()


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Returns when the first of them does."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _delivery(message: Any, epoch: str) -> Delivery:
    headers = message.headers or ()
    return Delivery(
        epoch=epoch,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=int(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(headers.items()) if isinstance(headers, dict) else tuple(headers),
    )
