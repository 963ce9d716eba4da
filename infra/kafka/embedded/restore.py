"""Journal → fresh broker: the same topics, records at the same offsets, and what the groups had committed.

The broker listens from its first moment on, so somebody may publish before all is back. That is found out, because
a record then gets another offset than it had; such a broker must be thrown away.
"""

from collections import defaultdict

from aiokafka.errors import KafkaError

from events.topics import Topic
from infra.kafka.topics import new_topic
from infra.settings import Settings

from .batches import HOLE, Batch, holes
from .journal import Journal
from .plain_client import Partition, PlainClient

_REQUEST_BYTES = 4_000_000
_PATIENCE_MS = 5000
_NAME: Partition = (Topic.LOG, 0)


class Disturbed(RuntimeError):
    """Somebody has used the broker before the log was back. The message says where it showed."""


async def restore(settings: Settings, journal: Journal, client: PlainClient) -> int:
    """Brings everything back; returns how many offsets that was.

    After an end that nobody saw, offsets may have been given away that the journal knows nothing of. They must never
    mean another record, because readers remember them: a hole is left at the end of every partition.

    Raises:
        Disturbed: begin again, with a fresh broker.
        JournalError: the journal is damaged.
        KafkaError: the broker refuses.
    """
    topics, ends = journal.topics(), journal.ends()
    await _make(settings, topics, client)
    last = await _append_all(journal, topics, client)
    # A log without a name begins another life: nobody remembers a place in it.
    unsure = not journal.ended_well and ends.get(_NAME, 0) > 0
    behind = await _leave_holes(ends, client) if unsure else ends
    for group, offsets in journal.committed().items():
        moved = {place: _moved(next_, ends[place], behind[place]) for place, next_ in offsets.items()}
        await client.commit(group, moved)
    await _verify(last, client)
    return sum(ends.values())


async def _make(settings: Settings, topics: dict[str, int], client: PlainClient) -> None:
    if topics:
        await client.create(new_topic(name, count, settings) for name, count in topics.items())
    found = await client.topics()
    for name, count in topics.items():
        if found.get(name) != count:
            raise Disturbed(f"topic {name} has {found.get(name)} partitions, not {count}")


async def _append_all(journal: Journal, topics: dict[str, int], client: PlainClient) -> dict[Partition, Batch]:
    """The smallest topics first: a publisher is likeliest to disturb the requests, which are few. The last batches."""
    pending: dict[Partition, list[Batch]] = defaultdict(list)
    last: dict[Partition, Batch] = {}
    size = 0
    for topic in topics:
        for number, batch in journal.batches(topic):
            pending[topic, number].append(batch)
            last[topic, number] = batch
            size += len(batch.data)
            if size >= _REQUEST_BYTES:
                await _append(pending, client)
                pending.clear()
                size = 0
    await _append(pending, client)
    return last


async def _append(pending: dict[Partition, list[Batch]], client: PlainClient) -> None:
    if not pending:
        return
    try:
        got = await client.append(pending)
    except KafkaError as error:  # two who append in the same moment get in each other's way
        raise Disturbed(f"the broker did not take its log: {error}") from error
    for (topic, number), batches in pending.items():
        if got[topic, number] != batches[0].base:
            raise Disturbed(f"a record of {topic}[{number}] came to {got[topic, number]}, not {batches[0].base}")


async def _leave_holes(ends: dict[Partition, int], client: PlainClient) -> dict[Partition, int]:
    await _append({place: holes(end, end + HOLE) for place, end in ends.items()}, client)
    return {place: end + HOLE for place, end in ends.items()}


def _moved(next_: int, end: int, behind: int) -> int:
    """A group that had read everything has read the hole, too; none has read what is not there."""
    return behind if next_ >= end else next_


async def _verify(last: dict[Partition, Batch], client: PlainClient) -> None:
    """Whether the last batches stand where they stood: what came between two of ours has moved them."""
    for place, batch in last.items():
        _, batches = (await client.fetch({place: batch.base}, wait_ms=_PATIENCE_MS))[place]
        if not batches or batches[0] != batch:
            raise Disturbed(f"what stands at offset {batch.base} of {place[0]}[{place[1]}] is not what stood there")
