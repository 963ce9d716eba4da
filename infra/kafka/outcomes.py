"""The way out: a plain producer beside Faust. A call returns when the broker has the event, however long it takes."""

import asyncio
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from events.dead_letters import DeadLetter
from events.envelope import CloudEvent, headers_of
from events.producing import start_producer
from events.topics import LARGE_EVENT_BYTES, Topic
from infra.jobs.retries import patiently
from infra.settings import Settings

from .closing import at_most
from .connection import client_settings

#: What is kept of a record that is too large to be put aside whole.
_BEGINNING = 100_000
_STOP_S = 5.0
#: The longest pause between two tries: jobs wait for the broker's answer when it is back.
_LOOK_AGAIN_S = 2.0


class _NotTaken(RuntimeError):
    """The broker did not take the record; it may still have it, and readers drop what they saw twice."""


class KafkaOutcomes:
    """Publishes events and dead letters. Use it as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> "KafkaOutcomes":
        self._producer = await self._new_producer()
        return self

    async def __aexit__(self, *_: object) -> None:
        # It would wait for a broker that is away until it is back. What is still to be sent is told again.
        await at_most(_STOP_S, self._producer.stop())

    async def publish(self, topic: str, event: CloudEvent) -> None:
        await self.publish_at(topic, event)

    async def publish_at(self, topic: str, event: CloudEvent) -> tuple[int, int]:
        """Publishes; the partition and the offset at which the event stands."""
        key = (event.subject or "").encode()
        placed = await self._send(topic, key, event.to_bytes(), headers_of(event))
        return placed.partition, placed.offset

    async def bury(self, letter: DeadLetter) -> None:
        """Puts a record aside whole; one that is larger than any broker should have taken, by its beginning."""
        key, value, headers = letter.to_record()
        try:
            await self._send(Topic.DEAD_LETTERS, key, value, headers)
        except MessageSizeTooLargeError:
            cut = f"{letter.message} (of {len(value or b''):,} bytes only the first {_BEGINNING:,} are kept)"
            key, value, headers = replace(
                letter, key=key[:_BEGINNING], value=(value or b"")[:_BEGINNING], headers=(), message=cut, cut=True
            ).to_record()
            await self._send(Topic.DEAD_LETTERS, key, value, headers)

    async def _send(self, topic: str, key: bytes, value: bytes | None, headers: list[Any]) -> Any:
        async def once() -> Any:
            producer = self._producer
            try:
                return await producer.send_and_wait(topic, value, key, headers=headers)
            except MessageSizeTooLargeError:
                raise  # waiting makes it no smaller
            except KafkaError as error:
                if not error.retriable:
                    await self._renew(producer)
                raise _NotTaken(f"{type(error).__name__}: {error}") from error

        return await patiently(once, f"publish on {topic}", only=_NotTaken, longest=_LOOK_AGAIN_S)

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """A new producer in place of one whose sequence the broker no longer accepts."""
        async with self._renewing:
            if self._producer is broken:
                self._producer = await self._new_producer()
                await broken.stop()

    async def _new_producer(self) -> AIOKafkaProducer:
        return await start_producer(max_request_size=LARGE_EVENT_BYTES, **client_settings(self._settings))
