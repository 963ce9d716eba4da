"""Puts the fresh tables in the place of those in use, while a projector may be running.

What is equal stays as it is, and what is not is replaced: the same rows as if all had been replaced, but a job's
history keeps its numbers, by which readers have come to know it, and the transaction is small.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import monotonic

from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.storage.fresh import FRESH, Places, RebuildRefused
from infra.storage.offsets import Partition
from infra.storage.twins import Trimmed, addition, removal
from schemas.projection.rules import ALL
from schemas.tables import metadata, projected_offsets

_PATIENCE_S = 60.0


@asynccontextmanager
async def standing_still(places: Places) -> AsyncIterator[AsyncConnection]:
    """A transaction in which nobody else changes the tables; whoever wants to, waits. Readers do not.

    Tables that are missing are made in it. Without a commit nothing of it remains.

    Raises:
        RebuildRefused: a transaction of somebody else did not end.
    """
    async with places.live.connect() as connection:
        try:
            await (_lock_sqlite if connection.dialect.name == "sqlite" else _lock_postgresql)(connection)
            yield connection
        finally:
            await connection.rollback()


async def _lock_sqlite(connection: AsyncConnection) -> None:
    # Not BEGIN IMMEDIATE, which would lock the file of the fresh tables as well.
    given_up = monotonic() + _PATIENCE_S
    while True:
        await connection.exec_driver_sql("BEGIN")
        try:
            await connection.exec_driver_sql("DELETE FROM main.alembic_version WHERE 0")
            break
        except DBAPIError as error:
            await connection.rollback()
            if "locked" not in str(error.orig):
                raise
            if monotonic() > given_up:
                raise _taken() from error
    await connection.run_sync(metadata.create_all)


async def _lock_postgresql(connection: AsyncConnection) -> None:
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S:.0f}s'"))
    try:
        await connection.run_sync(metadata.create_all)
        # Every writer of the tables moves its place first, in the same transaction.
        await connection.execute(text(f"LOCK TABLE {projected_offsets.name} IN EXCLUSIVE MODE"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        raise _taken() from error


def _taken() -> RebuildRefused:
    return RebuildRefused(f"the tables were locked for {_PATIENCE_S:.0f} s: end the transaction that holds them")


async def places_of(connection: AsyncConnection, epoch: str) -> dict[Partition, int]:
    """How far the tables in use have come in this life of the log."""
    offsets = projected_offsets.c
    found = await connection.execute(
        select(offsets.topic, offsets.partition, offsets.next).where(offsets.epoch == epoch)
    )
    return {(topic, partition): next_ for topic, partition, next_ in found}


async def other_lives(connection: AsyncConnection, epoch: str) -> list[str]:
    """Names of other logs, or other lives of this one, that the tables were made of as well."""
    offsets = projected_offsets.c
    found = await connection.execute(
        select(offsets.epoch).where(offsets.epoch != epoch, offsets.next > 0).distinct().order_by(offsets.epoch)
    )
    return list(found.scalars())


async def put_in_place(connection: AsyncConnection, live: Mapping[Partition, int], trimmed: Trimmed) -> None:
    """Makes the tables in use what the fresh ones are; the caller commits.

    Args:
        connection: of `standing_still`.
        live: what `places_of` said, and what the fresh tables were made up to.

    Raises:
        RebuildRefused: the fresh tables hold less than that.
    """
    fresh = FRESH[projected_offsets.name].c
    have = await connection.execute(select(fresh.topic, fresh.partition, fresh.next))
    known = {(topic, partition): next_ for topic, partition, next_ in have}
    # Behind a place that moves back a projector would go on where it was, and leave a gap.
    if any(known.get(partition, 0) < next_ for partition, next_ in live.items()):
        raise RebuildRefused("the log has lost its end, or somebody has emptied the fresh tables: try again")
    for rule in ALL:
        await connection.execute(removal(rule, trimmed, connection.dialect.name))
        await connection.execute(addition(rule, trimmed))
    await connection.execute(delete(projected_offsets))
    columns = [column.name for column in projected_offsets.c]
    await connection.execute(insert(projected_offsets).from_select(columns, select(*(fresh[name] for name in columns))))
