"""How the tables in use differ from the fresh ones, row for row.

The database does the work: nothing is read but numbers and the keys of a few rows.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, false, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.storage.fresh import FRESH
from infra.storage.twins import Trimmed, Twins, twins_of
from schemas.projection import Rule
from schemas.projection.rules import ALL
from schemas.tables import projected_offsets

_EXAMPLES = 5
_OFFSETS = Rule(projected_offsets, ("epoch", "topic", "partition"))


@dataclass(frozen=True, slots=True)
class Difference:
    """How one table differs from its fresh twin.

    Attributes:
        rows_before, rows_after: how many there are in use, and how many there would be after a swap.
        only_before, only_after, different: rows that would go, come, change.
        gone_back: of the different ones, those that would know less: a job that has ended would wait again.
        columns: in which columns how many of the different rows differ.
        kept: rows without a fresh one that stay, because the broker does not keep their records so long.
        examples: the keys of the first few that would go, come, change, by the names above.
    """

    table: str
    rows_before: int
    rows_after: int
    only_before: int = 0
    only_after: int = 0
    different: int = 0
    gone_back: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    examples: dict[str, list[list[Any]]] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        return not (self.only_before or self.only_after or self.different)

    @property
    def lost(self) -> int:
        """Rows in which something would be gone that the log cannot give back. Places in the log are no such thing."""
        return 0 if self.table == projected_offsets.name else self.only_before + self.gone_back


async def compare(connection: AsyncConnection, epoch: str, trimmed: Trimmed) -> list[Difference]:
    """Compares every table that is made of the log, and the offsets of this life of it.

    Args:
        connection: of `Places.live`, in a transaction in which nobody else writes.
        trimmed: topic → since when the broker keeps all of its records, where it has dropped some.
    """
    if connection.dialect.name == "postgresql":
        for fresh in FRESH.values():
            await connection.execute(text(f"ANALYZE {fresh.fullname}"))  # or the plans know nothing of these tables
    found = [await _compare(connection, twins_of(rule, trimmed)) for rule in ALL]
    offsets = twins_of(_OFFSETS, trimmed)
    return [*found, await _compare(connection, offsets, lambda side: and_(side.c.epoch == epoch, side.c.next > 0))]


def _everything(side: FromClause) -> ColumnElement[bool]:
    return ~false()


async def _compare(connection: AsyncConnection, twins: Twins, about: Any = _everything) -> Difference:
    before, after = twins.before, twins.after
    unlike = twins.unlike(connection.dialect.name)
    goes = select(*_key(twins, before)).where(about(before), twins.vanishes)
    comes = select(*_key(twins, after)).where(about(after), twins.without_before)
    changes = select(*_key(twins, before)).join_from(before, after, twins.same_row)
    changes = changes.where(about(before), about(after), or_(false(), *unlike.values()))
    kept = select(func.count()).select_from(before).where(twins.without_after, twins.kept)

    async def number(query: Any) -> int:
        return int((await connection.execute(query)).scalar_one())

    sorts = {"only_before": goes, "only_after": comes, "different": changes}
    counts = {sort: await number(select(func.count()).select_from(query.subquery())) for sort, query in sorts.items()}
    examples = {sort: await _first(connection, sorts[sort]) for sort, count in counts.items() if count}
    gone_back, columns = (0, {}) if not counts["different"] else await _which(connection, twins, unlike, about)
    rows = await number(select(func.count()).select_from(before).where(about(before)))
    return Difference(
        twins.table.name,
        rows,
        rows - counts["only_before"] + counts["only_after"],
        **counts,
        gone_back=gone_back,
        columns=columns,
        kept=await number(kept),
        examples=examples,
    )


def _key(twins: Twins, side: FromClause) -> list[ColumnElement[Any]]:
    return [side.c[name] for name in twins.identity]


async def _first(connection: AsyncConnection, query: Any) -> list[list[Any]]:
    rows = await connection.execute(query.order_by(*query.selected_columns).limit(_EXAMPLES))
    return [list(row) for row in rows]


async def _which(
    connection: AsyncConnection, twins: Twins, unlike: dict[str, ColumnElement[bool]], about: Any
) -> tuple[int, dict[str, int]]:
    """How many rows go back, and how many differ in which column."""

    def times(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    query = select(times(twins.goes_back), *(times(condition) for condition in unlike.values())).join_from(
        twins.before, twins.after, twins.same_row
    )
    changed = or_(false(), *unlike.values())
    gone_back, *counts = (await connection.execute(query.where(about(twins.before), about(twins.after), changed))).one()
    return int(gone_back), {name: int(n) for name, n in zip(unlike, counts, strict=True) if n}
