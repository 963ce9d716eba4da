"""Records of a made history, published as they would stand in a log, and a projector that has read them."""

import asyncio

from aiokafka import AIOKafkaProducer

from infra.kafka.projector import Projector
from infra.settings import Settings
from schemas.projection import Record

Offsets = dict[tuple[str, int], int]


async def publish(settings: Settings, records: list[Record]) -> Offsets:
    """Publishes the records in their partitions; the last offset of each."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, linger_ms=5) as producer:
        sent = [
            await producer.send(
                record.place.topic, record.value, record.key or b"", partition=record.place.partition,
                headers=list(record.headers), timestamp_ms=record.place.timestamp_ms,
            )
            for record in records
        ]  # fmt: skip
        return {(done.topic, done.partition): done.offset for done in await asyncio.gather(*sent)}


async def caught_up(projector: Projector, offsets: Offsets) -> None:
    """Returns when the projector is behind all of these."""
    for (topic, partition), offset in offsets.items():
        await projector.wait_until(topic, partition, offset)
