"""How the readers of the log read it: as members of a group whose offsets are never asked, and record by record."""

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from infra.kafka import closing
from infra.settings import Settings
from schemas.projection import Place, Record

from .connection import client_settings


async def join(
    settings: Settings, topics: Iterable[str], listener: ConsumerRebalanceListener, *, group: str, **more: Any
) -> Any:
    """A consumer that has joined the group. It stays a member through any outage of what its reader writes to."""
    consumer = AIOKafkaConsumer(
        **client_settings(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=int(settings.kafka_session_timeout_s * 1000),
        heartbeat_interval_ms=1000,
        max_poll_interval_ms=10**9,  # a long outage is no reason to leave the group
        fetch_max_wait_ms=50,
        **more,
    )
    consumer.subscribe(tuple(topics), listener=listener)
    try:
        await consumer.start()
    except BaseException:
        await closing.stop(consumer)
        raise
    return consumer


def record_of(epoch: str, read: Any) -> Record:
    """A record as the consumer handed it over, in this life of the log."""
    place = Place(epoch, read.topic, read.partition, read.offset, read.timestamp)
    return Record(place, read.key, read.value, tuple(read.headers))
