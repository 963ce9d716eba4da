"""Publishes the wishes, each at its time, whatever happens to the broker."""

import asyncio
from collections.abc import Sequence
from time import monotonic

from aiokafka import AIOKafkaProducer

from events.producing import start_producer
from infra.kafka.connection import client_settings
from infra.settings import Settings

from .wishes import Wish

#: Longer than any outage: what is on its way when the broker dies is taken when it is back.
_PATIENCE_MS = 180_000


async def publish(settings: Settings, wishes: Sequence[Wish]) -> None:
    """Returns when the broker has acknowledged every one."""
    producer: AIOKafkaProducer = await start_producer(
        idempotent=True, request_timeout_ms=_PATIENCE_MS, **client_settings(settings)
    )
    begun = monotonic()
    try:
        under_way: list[asyncio.Task[object]] = []
        for wish in wishes:
            await asyncio.sleep(max(0.0, begun + wish.at_s - monotonic()))
            # In order for each job: the producer keeps it within a partition.
            sent = await producer.send(wish.topic, wish.value, wish.key, headers=list(wish.headers))
            under_way.append(asyncio.ensure_future(sent))
        await asyncio.gather(*under_way)
    finally:
        await producer.stop()
