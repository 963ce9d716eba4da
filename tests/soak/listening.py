"""An ear on the ends of jobs and uploads, so that the soak knows when all have come."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from time import monotonic

from aiokafka import AIOKafkaConsumer

from events.topics import Topic
from infra.kafka.connection import client_settings
from infra.settings import Settings

_ENDS = (b".completed.", b".failed.", b".cancelled.", b".registered.", b".rejected.")


class Ear:
    """Whose end was heard, and when something was heard last."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self._heard_at = monotonic()

    async def all_ended(self, subjects: Collection[str], quiet_s: float) -> bool:
        """Returns when all of them have ended (True), or when nothing has been heard for `quiet_s`."""
        self._heard_at = monotonic()
        while not self.ended.issuperset(subjects):
            if monotonic() - self._heard_at > quiet_s:
                return False
            await asyncio.sleep(0.2)
        return True

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            self._heard_at = monotonic()
            kind = dict(record.headers).get("ce_type", b"")
            if record.topic != Topic.PROGRESS and any(end in kind for end in _ENDS):
                self.ended.add((record.key or b"").decode())


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[Ear]:
    ear = Ear()
    topics = (Topic.JOBS, Topic.DATASETS, Topic.PROGRESS, Topic.DEAD_LETTERS)
    async with AIOKafkaConsumer(*topics, **client_settings(settings), auto_offset_reset="earliest") as consumer:
        task = asyncio.create_task(ear.listen(consumer))
        try:
            yield ear
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
