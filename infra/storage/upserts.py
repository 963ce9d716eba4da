"""Projected writes → the database: one statement a table, in which stale news changes nothing."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, case, false, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.projection import Rule, Write, merged
from schemas.projection.registers import By


async def apply(connection: AsyncConnection, writes: Iterable[Write]) -> int:
    """Writes `writes` within the caller's transaction; returns the number of rows offered.

    Each row is offered once, merged from all of its writes, and tables and rows always come in the same order.

    Raises:
        sqlalchemy.exc.StatementError: a value does not fit its column, or the database refuses.
    """
    offered = 0
    for rule, rows in merged(writes):
        await connection.execute(_upsert(rule, connection.dialect.name), rows)
        offered += len(rows)
    return offered


@cache
def _upsert(rule: Rule, dialect: str) -> Executable:
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect]
    statement = insert(rule.table)
    if not rule.registers:
        return statement.on_conflict_do_nothing(index_elements=rule.identity)  # type: ignore[no-any-return]
    better = {register: _beats(statement.excluded, rule.table.c, register.key) for register in rule.registers}
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=rule.identity,
        set_={
            column: case((better[register], statement.excluded[column]), else_=rule.table.c[column])
            for register in rule.registers
            for column in register.all_columns
        },
        where=or_(*better.values()),
    )


def _beats(news: Any, known: Any, key: tuple[By, ...]) -> ColumnElement[bool]:
    """`schemas.projection.registers.beats` in SQL: the first part of the key that differs decides."""
    decided: ColumnElement[bool] = false()
    for by in reversed(key):
        told, have = news[by.column], known[by.column]
        better = told > have if by.greatest else told < have
        if known[by.column].nullable:
            better = and_(told.is_not(None), or_(have.is_(None), better))
        decided = or_(better, and_(told.is_not_distinct_from(have), decided))
    return decided
