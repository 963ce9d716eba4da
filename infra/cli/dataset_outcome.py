"""Listening for what becomes of an upload."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer

from events.envelope import decode
from events.errors import InvalidEvent
from events.outcomes import DatasetRegistered, DatasetRejected
from events.topics import Topic
from events.vocabulary import EVENT_OF_MODEL
from infra.kafka.connection import client_settings
from infra.settings import Settings

if TYPE_CHECKING:
    from events.requests import DatasetUploaded

#: Read this many records before the end: the embedded broker's idea of its end may be a batch behind.
_BACK = 50
#: A worker's clock may be a little behind ours.
_SKEW = timedelta(seconds=2)

_REGISTERED = EVENT_OF_MODEL[DatasetRegistered].type
_REJECTED = EVENT_OF_MODEL[DatasetRejected].type


class DatasetOutcomes:
    """Hears the outcomes of uploads from the moment it is entered: enter it before publishing."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(
            Topic.DATASETS.value, **client_settings(settings), enable_auto_commit=False, fetch_max_wait_ms=50
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

    async def of(self, upload: "DatasetUploaded", timeout_s: float) -> dict[str, Any] | None:
        """The outcome's data with a `status`, registered or rejected; None if nothing was heard in time."""
        try:
            return await asyncio.wait_for(self._next(upload), timeout_s)
        except TimeoutError:
            return None

    async def _next(self, upload: "DatasetUploaded") -> dict[str, Any]:
        async for record in self._consumer:
            try:
                event = decode(record.value, record.headers)
            except InvalidEvent:
                continue  # not ours to complain about: the projector buries it
            if event.data.get("dataset_id") != upload.dataset_id:
                continue
            # An upload seen before is answered with the event of then: the same bytes, whatever its time.
            if event.type == _REGISTERED and event.data.get("sha256") == upload.sha256:
                return {"status": "registered", **event.data}
            if event.type == _REJECTED and event.time >= self._since:
                return {"status": "rejected", **event.data}
        raise AssertionError("a consumer's records do not end")
