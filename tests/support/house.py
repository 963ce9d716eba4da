"""The whole writing side of the house in a test: a broker, agents, and an ear on every outcome topic."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from events.dead_letters import DeadLetter
from events.envelope import CloudEvent, decode, full_type, headers_of
from events.topics import Topic
from events.vocabulary import EVENTS
from infra.kafka.connection import client_settings
from infra.kafka.worker import serve
from infra.settings import Settings

from .broker import Broker, running_broker

EARS = (Topic.JOBS, Topic.PROGRESS, Topic.MODELS, Topic.EXPLANATIONS, Topic.DATASETS, Topic.DEAD_LETTERS)
ENDS = ("ml.job.completed", "ml.job.failed", "ml.job.cancelled")


class House:
    """What was heard so far, and ways to speak and to wait."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.settings = settings
        self.producer = producer
        self.events: list[CloudEvent] = []
        self.letters: list[DeadLetter] = []
        self._news = asyncio.Condition()

    async def send(self, topic: str, value: bytes | None, key: bytes | None = None, headers: Any = ()) -> Any:
        """A raw record; returns where it stands (topic, partition, offset)."""
        return await self.producer.send_and_wait(topic, value, key, headers=list(headers))

    async def ask(self, name: str, subject: str, **data: Any) -> CloudEvent:
        """A well-formed event of type `name`."""
        event = CloudEvent(source="test", type=full_type(name), subject=subject, data=data)
        await self.send(EVENTS[event.type].topic, event.to_bytes(), subject.encode(), headers_of(event))
        return event

    async def heard(self, name: str, subject: str) -> CloudEvent:
        """The first event of that name about that subject, waited for."""
        return await self.first(lambda e: e.name == name and e.subject == subject)

    async def ended(self, job_id: str) -> CloudEvent:
        """The job's end, waited for."""
        return await self.first(lambda e: e.name in ENDS and e.subject == job_id)

    async def buried(self, place: Any) -> DeadLetter:
        """The dead letter of the record that stands at `place`, waited for."""

        def found() -> DeadLetter | None:
            at = (place.topic, place.partition, place.offset)
            return next((x for x in self.letters if (x.topic, x.partition, x.offset) == at), None)

        async with self._news:
            await self._news.wait_for(lambda: found() is not None)
        letter = found()
        assert letter is not None
        return letter

    async def first(self, wanted: Any) -> CloudEvent:
        """The first event of which `wanted` holds, waited for."""
        async with self._news:
            await self._news.wait_for(lambda: any(map(wanted, self.events)))
        return next(filter(wanted, self.events))

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            if record.topic == Topic.DEAD_LETTERS:
                self.letters.append(DeadLetter.from_record(record.key, record.value, record.headers))
            else:
                self.events.append(decode(record.value, record.headers))
            async with self._news:
                self._news.notify_all()


@asynccontextmanager
async def open_house(tmp_path: Path, *names: str, broker: Broker = "embedded", **settings: Any) -> AsyncIterator[House]:
    """A broker with agents for `names` in this process; everything is stopped at the end."""
    async with (
        running_broker(tmp_path, broker, **settings) as known,
        AIOKafkaProducer(**client_settings(known)) as producer,
    ):
        house = House(known, producer)
        ears = AIOKafkaConsumer(*EARS, **client_settings(known), auto_offset_reset="earliest", fetch_max_wait_ms=50)
        await ears.start()
        listening = asyncio.create_task(house.listen(ears))
        try:
            async with agents(known, *names):
                yield house
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await ears.stop()


@asynccontextmanager
async def agents(settings: Settings, *names: str) -> AsyncIterator[None]:
    """Agents in this process, from ready to stopped."""
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve(settings, names, ready.set, stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    try:
        yield
    finally:
        stop.set()
        code = await serving
    assert code == 0, "an agent died"
