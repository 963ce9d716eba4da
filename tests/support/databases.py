"""A database for a test: made by the migrations, read back whole."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.storage.upserts import apply
from schemas.projection import Record, Write, project
from schemas.tables import metadata

#: Counts by itself, in the order of arrival: all that may differ between two readers of one log.
_COUNTED = {("job_events", "id")}

Rows = dict[str, list[dict[str, Any]]]


async def rows_of(engine: AsyncEngine, *, without: tuple[str, ...] = ("projected_offsets",)) -> Rows:
    """Every table's rows with every column but the counted ones, sorted."""
    found: Rows = {}
    async with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name in without:
                continue
            columns = [column for column in table.c if (table.name, column.name) not in _COUNTED]
            result = await connection.execute(select(*columns))
            found[table.name] = sorted((dict(row) for row in result.mappings()), key=repr)
    return found


async def empty(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(table.delete())


async def apply_all(engine: AsyncEngine, *batches: list[Record]) -> None:
    """Projects each batch in a transaction of its own."""
    for batch in batches:
        async with engine.begin() as connection:
            await apply(connection, writes_of(batch))


def writes_of(records: list[Record]) -> list[Write]:
    writes: list[Write] = []
    for record in records:
        found = project(record)
        assert isinstance(found, list), found
        writes += found
    return writes
