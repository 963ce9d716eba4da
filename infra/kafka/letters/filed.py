"""Reading the dead letters' own topic, from its start to where it ends at this moment. The log is the truth: neither
the tables nor the API are asked.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from events.dead_letters import DeadLetter
from events.topics import Topic
from infra.kafka.topics import partition_counts
from infra.settings import Settings

from .to_the_end import reader, to_the_end


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
    async with reader(settings) as consumer:
        for number in range(n_partitions):
            async for read in to_the_end(settings, consumer, TopicPartition(Topic.DEAD_LETTERS, number)):
                if filed := _filed(read):
                    yield filed


def _filed(read: Any) -> Filed | None:
    try:
        letter = DeadLetter.from_record(read.key, read.value, read.headers)
    except ValueError:
        return None
    return Filed(read.partition, read.offset, read.timestamp, letter)
