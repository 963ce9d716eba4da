"""Why the order of events does not matter: a row is a set of registers, and in each the best news wins.

A register is a group of columns that change together, and a key that says how good the news in them is. Two
versions of a row are merged register by register: the one with the better key gives the columns. Such a merge is
commutative, associative and idempotent (a join of semilattices: Shapiro et al., «Conflict-free Replicated Data
Types», 2011), so any order, any grouping and any repetition of the same events ends in the same row.

The rule is applied twice, in Python within a batch (here) and in SQL against what is stored (infra.storage.upserts).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class By:
    """One part of a key: the greater value of `column` is better, or the smaller one. NULL is no news at all."""

    column: str
    greatest: bool


def greatest(column: str) -> By:
    return By(column, greatest=True)


def least(column: str) -> By:
    return By(column, greatest=False)


@dataclass(frozen=True)
class Register:
    """Columns that change together: the version with the better `key` (compared part by part) gives them all."""

    key: tuple[By, ...]
    columns: tuple[str, ...] = ()

    @cached_property
    def all_columns(self) -> tuple[str, ...]:
        """The columns of the key come along, each once."""
        return tuple(dict.fromkeys((*(by.column for by in self.key), *self.columns)))


@dataclass(frozen=True)
class Rule:
    """How rows of one table are merged. Without registers, the row that is there stays."""

    table: Table
    identity: tuple[str, ...]
    registers: tuple[Register, ...] = ()

    @cached_property
    def identify(self) -> Callable[[Row], Any]:
        """What tells a row from all others of its table: something to sort and look up by."""
        return itemgetter(*self.identity)


@dataclass(frozen=True, slots=True)
class Write:
    """One version of one row, complete: a register without news carries the worst key there is."""

    rule: Rule
    row: Row


def beats(news: Mapping[str, Any], known: Mapping[str, Any], key: Iterable[By]) -> bool:
    """Whether `news` has the better key. Equal keys: it does not, what is known stays."""
    for by in key:
        told, have = news[by.column], known[by.column]
        if told == have:
            continue
        if told is None or have is None:
            return have is None
        return bool(told > have) if by.greatest else bool(told < have)
    return False


def merge(known: Row, news: Mapping[str, Any], registers: Iterable[Register]) -> None:
    """Takes into `known` whatever `news` knows better."""
    for register in registers:
        if beats(news, known, register.key):
            for column in register.all_columns:
                known[column] = news[column]


def merged(writes: Iterable[Write]) -> Iterator[tuple[Rule, list[Row]]]:
    """Each table's rows with every row once, tables by name and rows by identity.

    The fixed order keeps two projectors from waiting for each other's rows.
    """
    tables: dict[str, tuple[Rule, dict[Any, Row]]] = {}
    for write in writes:
        _, rows = tables.setdefault(write.rule.table.name, (write.rule, {}))
        identity = write.rule.identify(write.row)
        known = rows.get(identity)
        if known is None:
            rows[identity] = dict(write.row)
        else:
            merge(known, write.row, write.rule.registers)
    for _, (rule, rows) in sorted(tables.items()):
        yield rule, [rows[identity] for identity in sorted(rows)]
