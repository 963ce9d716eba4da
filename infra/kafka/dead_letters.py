"""Reading the dead letters' own topic, from its start to where it ends at this moment. The log is the truth: neither
the tables nor the API are asked.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from events.dead_letters import DeadLetter
from events.errors import BrokerUnreachable
from events.topics import LARGE_EVENT_BYTES, Topic
from infra.settings import Settings

from .connection import client_settings
from .topics import partition_counts

_POLL_MS = 200
_BATCH = 100
#: How long the broker may say nothing new before it counts as away.
_SILENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Filed:
    """A record of the dead letters' topic: where it stands there, since when (the broker's time), and what it is."""

    partition: int
    offset: int
    timestamp_ms: int
    letter: DeadLetter


async def dead_letters(settings: Settings) -> AsyncGenerator[Filed, None]:
    """Every letter and every mark, partition by partition in the order of offsets; nothing where the topic is not.

    A record that is neither is passed over: the projector has put it aside as a letter of its own.

    Raises:
        BrokerUnreachable: nobody answers, or no longer.
        KafkaError: the broker refuses.
    """
    # Asked of an admin client: a consumer that mentions a topic may create it.
    n_partitions = (await partition_counts(settings)).get(Topic.DEAD_LETTERS, 0)
    if not n_partitions:
        return
    consumer = AIOKafkaConsumer(
        **client_settings(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
        fetch_max_bytes=4 * LARGE_EVENT_BYTES,
    )
    try:
        try:
            await consumer.start()
        except KafkaConnectionError as error:
            raise BrokerUnreachable(f"no Kafka broker answers at {settings.bootstrap_servers}") from error
        for number in range(n_partitions):
            async for filed in _partition(settings, consumer, TopicPartition(Topic.DEAD_LETTERS, number)):
                yield filed
    finally:
        await consumer.stop()


async def _partition(settings: Settings, consumer: Any, place: TopicPartition) -> AsyncIterator[Filed]:
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    end, heard_at = None, time.monotonic()
    while True:
        position = await consumer.position(place)
        found = (await consumer.getmany(place, timeout_ms=_POLL_MS, max_records=_BATCH)).get(place, ())
        for read in found:
            if end is not None and read.offset >= end:
                return
            if filed := _filed(read):
                yield filed
        # The end as the first fetch tells it: what is written while we read is for the next one.
        end = _end(settings, consumer, place) if end is None else end
        reached = await consumer.position(place)
        if end is not None and reached >= end:
            return
        if found or reached > position:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > _SILENCE_S:
            raise BrokerUnreachable(f"the broker at {settings.bootstrap_servers} says nothing any more")


def _end(settings: Settings, consumer: Any, place: TopicPartition) -> int | None:
    """Where the partition ends for this reader. The embedded broker answers the direct question wrongly, so it is
    asked of a fetch; on others an open transaction holds back what stands behind it.
    """
    end: int | None = consumer.highwater(place)
    if end is None or settings.embedded_broker:
        return end
    stable = consumer.last_stable_offset(place)
    return end if stable is None or stable < 0 else min(end, stable)


def _filed(read: Any) -> Filed | None:
    try:
        letter = DeadLetter.from_record(read.key, read.value, read.headers)
    except ValueError:
        return None
    return Filed(read.partition, read.offset, read.timestamp, letter)
