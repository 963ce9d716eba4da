"""Reading events: at least once, each (source, id) handed over once while it is remembered."""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError

from .envelope import CloudEvent, decode
from .errors import BrokerUnreachable, InvalidEvent
from .topics import Topic

log = logging.getLogger(__name__)

REMEMBERED = 100_000


async def subscribe(
    bootstrap_servers: str,
    topics: Iterable[Topic | str],
    *,
    group: str | None = None,
    types: Iterable[str] | None = None,
    from_beginning: bool = True,
    security: dict[str, Any] | None = None,
) -> AsyncIterator[CloudEvent]:
    """Yields the events of `topics`, for ever.

    With a `group` the place is kept by the broker: an event counts as read when the next one is asked for,
    so a subscriber that dies sees its last event again (at least once: make your reaction idempotent, or
    remember `event.identity`). Without one, every subscriber sees everything.

    Args:
        types: hand over only these names, e.g. `["ml.model.completed"]`.
        from_beginning: where a new group, or a reader without one, begins.

    Raises:
        BrokerUnreachable: nobody answers at `bootstrap_servers`.
    """
    wanted = set(types) if types is not None else None
    seen: OrderedDict[tuple[str, str], None] = OrderedDict()
    consumer = AIOKafkaConsumer(
        *map(str, topics),
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if from_beginning else "latest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
        max_poll_interval_ms=10**9,
        **(security or {}),
    )
    try:
        await consumer.start()
    except KafkaConnectionError as error:
        await consumer.stop()
        raise BrokerUnreachable(f"no Kafka broker answers at {bootstrap_servers}") from error
    try:
        async for record in consumer:
            event = _read(record)
            if event is not None and event.identity not in seen and (wanted is None or event.name in wanted):
                yield event
                seen[event.identity] = None
                if len(seen) > REMEMBERED:
                    seen.popitem(last=False)
            if group is not None:
                await _commit(consumer, record)
    finally:
        await consumer.stop()


async def _commit(consumer: AIOKafkaConsumer, record: Any) -> None:
    try:
        await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
    except (CommitFailedError, IllegalStateError):
        # The partition went to another member of the group meanwhile, who will see this event again.
        log.info("%s[%d] moved on; offset %d comes again there", record.topic, record.partition, record.offset)


def _read(record: Any) -> CloudEvent | None:
    try:
        return decode(record.value, record.headers)
    except InvalidEvent as error:
        log.warning("%s[%d] at offset %d is no event: %s", record.topic, record.partition, record.offset, error)
        return None
