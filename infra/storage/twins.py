"""A table in use and its fresh twin, in SQL: which rows only one of them has, and which differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Delete,
    FromClause,
    Insert,
    Table,
    and_,
    delete,
    exists,
    false,
    insert,
    not_,
    or_,
    select,
)
from sqlalchemy.sql.functions import Function

from events.vocabulary import EVENTS
from infra.storage.fresh import FRESH
from schemas.projection import Rule
from schemas.tables import datasets, job_events, ml_models, training_jobs

#: Counts by itself in the order of arrival, which two readers of one log need not share.
COUNTED = {(job_events.name, "id")}

Trimmed = Mapping[str, datetime]
"""Topic → since when the broker keeps all of its records, where it has dropped some."""

Condition = Callable[[FromClause], ColumnElement[bool]]


@dataclass(frozen=True)
class Twins:
    """`before`: the table in use; `after`: its fresh twin; `columns`: all that is compared and swapped.

    `kept`: of a row in use: it stays although the fresh table has none like it.
    """

    table: Table
    before: FromClause
    after: FromClause
    identity: tuple[str, ...]
    columns: tuple[str, ...]
    kept: ColumnElement[bool]

    @property
    def same_row(self) -> ColumnElement[bool]:
        return and_(*(self.before.c[name] == self.after.c[name] for name in self.identity))

    @property
    def without_after(self) -> ColumnElement[bool]:
        """Of a row in use: there is no fresh one like it."""
        return not_(exists().where(self.same_row).select_from(self.after).correlate(self.before))

    @property
    def without_before(self) -> ColumnElement[bool]:
        """Of a fresh row: there is none like it in use."""
        return not_(exists().where(self.same_row).select_from(self.before).correlate(self.after))

    @property
    def vanishes(self) -> ColumnElement[bool]:
        """Of a row in use: the log would have to tell of it, and does not."""
        return and_(self.without_after, not_(self.kept))

    def unlike(self, dialect: str) -> dict[str, ColumnElement[bool]]:
        """Column → whether the same row has another value in it."""
        return {
            name: _unlike(self.before.c[name], self.after.c[name], dialect)
            for name in self.columns
            if name not in self.identity
        }

    @property
    def goes_back(self) -> ColumnElement[bool]:
        """Of the same row: the fresh one knows less than the one in use."""
        return _LESS.get(self.table.name, _never)(self.before, self.after)


def twins_of(rule: Rule, trimmed: Trimmed, *, in_place: bool = False) -> Twins:
    """The twins of a rule's table.

    Args:
        in_place: `before` is the table itself, for statements that change it, and no alias.
    """
    table = rule.table
    before: FromClause = table if in_place else table.alias("in_use")
    columns = tuple(column.name for column in table.c if (table.name, column.name) not in COUNTED)
    kept = _outlived(before, trimmed) if table is job_events else false()
    return Twins(table, before, FRESH[table.name].alias("anew"), rule.identity, columns, kept)


def removal(rule: Rule, trimmed: Trimmed, dialect: str) -> Delete:
    """Takes away the rows that vanish and those that have another value anywhere."""
    twins = twins_of(rule, trimmed, in_place=True)
    changed = exists().where(twins.same_row, or_(false(), *twins.unlike(dialect).values())).select_from(twins.after)
    return delete(rule.table).where(or_(twins.vanishes, changed.correlate(twins.before)))


def addition(rule: Rule, trimmed: Trimmed) -> Insert:
    """Puts in the fresh rows that are like none in use, in the order in which they were made."""
    twins = twins_of(rule, trimmed)
    rows = select(*(twins.after.c[name] for name in twins.columns)).where(twins.without_before)
    order = [twins.after.c[name] for table, name in COUNTED if table == rule.table.name]
    return insert(rule.table).from_select(twins.columns, rows.order_by(*order), include_defaults=False)


def _unlike(before: ColumnElement[object], after: ColumnElement[object], dialect: str) -> ColumnElement[bool]:
    other = before.is_distinct_from(after)
    if dialect == "sqlite" and isinstance(before.type, JSON):
        # JSON is text there: the same in another order of names is the same.
        same = Function("omniscope_same_json", before, after, type_=Boolean())  # of infra.storage.fresh
        return and_(other, not_(same))
    return other


def _outlived(events: FromClause, trimmed: Trimmed) -> ColumnElement[bool]:
    """Of a job's history: the broker keeps nothing as old as this."""
    told = {topic: [known.name for known in EVENTS.values() if known.topic == topic] for topic in trimmed}
    return or_(
        false(), *(and_(events.c.type.in_(told[topic]), events.c.time < since) for topic, since in trimmed.items())
    )


def _never(before: FromClause, after: FromClause) -> ColumnElement[bool]:
    return false()


def _lower_rank(before: FromClause, after: FromClause) -> ColumnElement[bool]:
    return after.c.status_rank < before.c.status_rank


def _no_longer_complete(before: FromClause, after: FromClause) -> ColumnElement[bool]:
    return and_(before.c.completed_place.is_not(None), after.c.completed_place.is_(None))


_LESS: dict[str, Callable[[FromClause, FromClause], ColumnElement[bool]]] = {
    training_jobs.name: _lower_rank,
    datasets.name: _lower_rank,
    ml_models.name: _no_longer_complete,
}
