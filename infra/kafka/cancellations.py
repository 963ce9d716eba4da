"""Every worker hears every request to stop a job, and stops what it has in hand, whoever decides about the end.

It hears requests to remove models, too: jobs that work with one are ended where that is decided, so it looks out.

Read without a group, from now on: what was asked before is decided by the group that arbitrates, and a job finds that
decision before it starts.
"""

from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from events.errors import BrokerUnreachable, InvalidEvent
from events.topics import Topic
from events.vocabulary import identify, validate
from infra.jobs.retries import patiently
from infra.jobs.running import Running
from infra.settings import Settings

from .alone import reading_alone

log = structlog.get_logger(__name__)

_POLL_MS = 1000
_TOPICS = (Topic.CANCELLATION, Topic.MODEL_DELETION)


class Cancellations:
    """Once the context is entered, nothing that comes from now on is missed by `follow`."""

    def __init__(self, settings: Settings, running: Running) -> None:
        self._settings = settings
        self._running = running
        self._consumer: Any = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> "Cancellations":
        self._consumer = await patiently(
            self._positioned, f"read {Topic.CANCELLATION}", only=(BrokerUnreachable, KafkaError, OSError)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def _positioned(self) -> Any:
        async with AsyncExitStack() as stack:
            consumer = await stack.enter_async_context(reading_alone(self._settings, auto_offset_reset="latest"))
            numbers = range(self._settings.topic_partitions)
            partitions = [TopicPartition(topic, number) for topic in _TOPICS for number in numbers]
            consumer.assign(partitions)
            # The embedded broker may answer with a place before the end: then something old is heard again.
            await consumer.seek_to_end(*partitions)
            for partition in partitions:
                await consumer.position(partition)
            self._open = stack.pop_all()
        return consumer

    async def follow(self) -> None:
        """For ever: stops what is asked to stop."""
        while True:
            found = await patiently(
                lambda: self._consumer.getmany(timeout_ms=_POLL_MS), f"read {Topic.CANCELLATION}", only=KafkaError
            )
            for records in found.values():
                for record in records:
                    self._heed(record)

    def _heed(self, record: Any) -> None:
        if record.topic == Topic.MODEL_DELETION:
            self._running.expect_ends()
            return
        # What is no request to stop becomes a dead letter where it is arbitrated.
        with suppress(InvalidEvent):
            asked = identify(record.topic, record.key, record.value, tuple(record.headers))
            validate(asked)
            if self._running.stop(asked.key, asked):
                log.info("stopping_job", job_id=asked.key)
