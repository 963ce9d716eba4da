"""How the readers of the log read it: as members of a group whose offsets are never asked, and record by record."""

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaConnectionError

from events.errors import BrokerUnreachable
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


async def read_alone(settings: Settings) -> Any:
    """A consumer that is in no group and moves nobody's partitions; what it reads is for its user to assign.

    Raises:
        BrokerUnreachable: nobody answers at the configured address.
    """
    consumer = AIOKafkaConsumer(
        **client_settings(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
    except KafkaConnectionError as error:
        await consumer.stop()
        raise BrokerUnreachable(f"no Kafka broker answers at {settings.bootstrap_servers}") from error
    return consumer


def record_of(epoch: str, read: Any) -> Record:
    """A record as the consumer handed it over, in this life of the log."""
    place = Place(epoch, read.topic, read.partition, read.offset, read.timestamp)
    return Record(place, read.key, read.value, tuple(read.headers))
