"""The life of the log: a name that a broker which lost its topics does not have any more.

It stands in the first record of `omniscope.ml.log`. Offsets mean something only together with it.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from events.errors import BrokerUnreachable
from events.identifiers import new_id
from events.topics import Topic
from infra.kafka.alone import reading_alone
from infra.kafka.connection import client_settings
from infra.settings import Settings

_FIRST = TopicPartition(Topic.LOG, 0)
_LOOK_AGAIN_S = 0.02


async def read_epoch(settings: Settings) -> str | None:
    """The name of this log's life, or None where nobody has given it one.

    The topics must exist: a broker may create one by itself when asked for it.

    Raises:
        BrokerUnreachable: nobody answers at the configured address.
        KafkaError: the broker refuses, or the first record is no name.
    """
    # No group: assigning by hand asks for the metadata of this one topic, which exists.
    async with reading_alone(settings) as consumer:
        consumer.assign([_FIRST])
        await consumer.seek_to_beginning(_FIRST)
        return await _first_name(consumer)


async def ensure_epoch(settings: Settings) -> str:
    """The name of this log's life; names it where nobody has. Of several who try at once, the first one wins.

    Raises:
        BrokerUnreachable: nobody answers at the configured address.
        KafkaError: the broker refuses.
    """
    epoch = await read_epoch(settings)
    while epoch is None:
        await _propose(settings)
        epoch = await read_epoch(settings)
    return epoch


async def _first_name(consumer: Any) -> str | None:
    while True:
        found = await consumer.getmany(_FIRST, timeout_ms=100, max_records=1)
        for record in found.get(_FIRST, ()):
            try:
                return str(record.value.decode("ascii"))
            except (AttributeError, UnicodeDecodeError):
                raise KafkaError(f"the first record of {Topic.LOG} is no name of a log: delete the topic") from None
        # Where the log ends is asked of a fetch: the embedded broker answers the direct question wrongly.
        if consumer.highwater(_FIRST) == 0:
            return None
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _propose(settings: Settings) -> None:
    # Not idempotent (the embedded broker cannot): a second proposal does no harm, only the first record counts.
    producer = AIOKafkaProducer(**client_settings(settings), acks="all", enable_idempotence=False)
    try:
        await _start(producer, settings)
        await producer.send_and_wait(Topic.LOG, new_id().encode(), partition=0)
    finally:
        await producer.stop()


async def _start(client: Any, settings: Settings) -> None:
    try:
        await client.start()
    except KafkaConnectionError as error:
        raise BrokerUnreachable(f"no Kafka broker answers at {settings.bootstrap_servers}") from error
