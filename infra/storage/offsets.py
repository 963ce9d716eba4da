"""How far the log has been projected. Read and written in the transaction of the rows it speaks of."""

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables import projected_offsets as offsets

Partition = tuple[str, int]
"""A topic's name and a partition's number."""


class Fenced(Exception):
    """Somebody else has projected these records, or the log is shorter than it was: look where to go on."""

    def __init__(self, partition: Partition) -> None:
        super().__init__(f"{partition[0]}[{partition[1]}] was not where this reader believed it to be")
        self.partition = partition


async def load(connection: AsyncConnection, epoch: str, partitions: list[Partition]) -> dict[Partition, int]:
    """The next offset to project of each partition; a partition that is new begins at 0."""
    if not partitions:
        return {}
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = [{"epoch": epoch, "topic": topic, "partition": number, "next": 0} for topic, number in sorted(partitions)]
    await connection.execute(insert(offsets).on_conflict_do_nothing(), new)
    found = await connection.execute(
        select(offsets.c.topic, offsets.c.partition, offsets.c.next).where(offsets.c.epoch == epoch)
    )
    known = {(topic, number): next_ for topic, number, next_ in found}
    return {partition: known[partition] for partition in partitions}


async def advance(connection: AsyncConnection, epoch: str, read: Mapping[Partition, tuple[int, int]]) -> None:
    """Moves on over what was read: partition → (first, last) offset.

    Offsets may have gaps (a trimmed log, a publisher's transactions), so what comes next may lie further on, but
    never further back.

    Raises:
        Fenced: a partition has been projected beyond its first offset already.
    """
    for partition, (first, last) in sorted(read.items()):
        moved = await connection.execute(
            update(offsets)
            .where(offsets.c.epoch == epoch, offsets.c.topic == partition[0], offsets.c.partition == partition[1])
            .where(offsets.c.next <= first)
            .values(next=last + 1)
        )
        if moved.rowcount != 1:
            raise Fenced(partition)


async def rewind_beyond(connection: AsyncConnection, epoch: str, partition: Partition, end: int) -> bool:
    """Begins a partition again from 0 if it is said to be projected beyond `end`; whether it was."""
    moved = await connection.execute(
        update(offsets)
        .where(offsets.c.epoch == epoch, offsets.c.topic == partition[0], offsets.c.partition == partition[1])
        .where(offsets.c.next > end)
        .values(next=0)
    )
    return moved.rowcount == 1
