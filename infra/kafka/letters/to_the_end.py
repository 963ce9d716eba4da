"""Reading a partition from some place to where it ends at this moment, as a member of no group."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiokafka import TopicPartition

from events.errors import BrokerUnreachable
from events.topics import LARGE_EVENT_BYTES
from infra.kafka.alone import reading_alone
from infra.settings import Settings

_POLL_MS = 200
_BATCH = 100
#: How long the broker may say nothing new before it counts as away.
_SILENCE_S = 20.0


def reader(settings: Settings) -> AbstractAsyncContextManager[Any]:
    """A consumer for `to_the_end`. What it fetches ahead stays small.

    Raises:
        BrokerUnreachable: nobody answers.
    """
    return reading_alone(settings, fetch_max_bytes=4 * LARGE_EVENT_BYTES)


async def to_the_end(
    settings: Settings, consumer: Any, place: TopicPartition, first: int | None = None
) -> AsyncIterator[Any]:
    """The records of a partition that exists, from offset `first` (None: from where it begins).

    Raises:
        BrokerUnreachable: the broker says nothing any more.
        KafkaError: it refuses.
    """
    consumer.assign([place])
    if first is None:
        await consumer.seek_to_beginning(place)
    else:
        consumer.seek(place, first)
    end, heard_at = None, time.monotonic()
    while True:
        position = await consumer.position(place)
        found = (await consumer.getmany(place, timeout_ms=_POLL_MS, max_records=_BATCH)).get(place, ())
        for read in found:
            if end is not None and read.offset >= end:
                return
            yield read
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
