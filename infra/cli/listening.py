"""Listening for what becomes of something that is about to be published."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from aiokafka import AIOKafkaConsumer

from events.envelope import CloudEvent, decode
from events.errors import InvalidEvent
from events.topics import Topic
from infra.kafka.connection import client_settings
from infra.settings import Settings

T = TypeVar("T")

#: Read this many records before the end: the embedded broker's idea of its end may be a batch behind.
_BACK = 50
#: A worker's clock may be a little behind ours.
_SKEW = timedelta(seconds=2)


class Listener:
    """Hears a topic from the moment it is entered: enter it before publishing. A little of before is heard, too."""

    def __init__(self, settings: Settings, topic: Topic) -> None:
        self._consumer = AIOKafkaConsumer(
            topic.value, **client_settings(settings), enable_auto_commit=False, fetch_max_wait_ms=50
        )
        self._since = datetime.now(UTC)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        places = self._consumer.assignment()
        for place, end in (await self._consumer.end_offsets(places)).items():
            self._consumer.seek(place, max(0, end - _BACK))
        self._since = datetime.now(UTC) - _SKEW
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    def is_new(self, event: CloudEvent) -> bool:
        """Whether it came after we had begun to listen."""
        return event.time >= self._since

    async def first(self, wanted: Callable[[CloudEvent], T | None], timeout_s: float) -> T | None:
        """The first thing that `wanted` makes of an event; None if nothing was heard in time."""
        try:
            return await asyncio.wait_for(self._next(wanted), timeout_s)
        except TimeoutError:
            return None

    async def _next(self, wanted: Callable[[CloudEvent], T | None]) -> T:
        async for record in self._consumer:
            try:
                found = wanted(decode(record.value, record.headers))
            except InvalidEvent:
                continue  # not ours to complain about: the projector buries it
            if found is not None:
                return found
        raise AssertionError("a consumer's records do not end")
