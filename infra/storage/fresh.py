"""The fresh tables that a rebuild fills beside the ones in use: where they stand, and that one rebuild runs at a time.

On PostgreSQL they have a schema of their own, on SQLite a file of their own, attached under the same name. What a
killed rebuild left of them is removed by the next one.
"""

import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, event, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from infra.storage.database import migrate, open_engine
from schemas.projection.rules import ALL
from schemas.tables import projected_offsets

SCHEMA = "omniscope_rebuild"
#: Names the lock that rebuilds of one PostgreSQL database take turns by: any number of our own.
_TURN = 0x0031_6C6E
_NOT_ALLOWED = "42501"
_RUNS = "another rebuild of this database runs: wait for its end, or stop it"

_beside = MetaData()


def _copy(table: Table) -> Table:
    """The table as it stands in the other schema, with the indexes that keep rows unique and no others."""
    copy = table.to_metadata(_beside, schema=SCHEMA)
    copy.indexes = {index for index in copy.indexes if index.unique}
    return copy


#: Name → the fresh table.
FRESH = {table.name: _copy(table) for table in (*(rule.table for rule in ALL), projected_offsets)}


class RebuildRefused(RuntimeError):
    """There can be no rebuild now. The message says why, in a sentence a person can act on."""


@dataclass(frozen=True, slots=True)
class Places:
    """Two views of one database: `live` speaks of the tables in use, `fresh` of those beside them by the same names.

    A connection of `live` reaches both, the fresh ones as `FRESH`.
    """

    live: AsyncEngine
    fresh: AsyncEngine
    live_schema: str | None


@asynccontextmanager
async def fresh_tables(url: str) -> AsyncIterator[Places]:
    """Empty fresh tables, removed at the end. The ones in use are brought to the newest revision before.

    Args:
        url: the database.

    Raises:
        RebuildRefused: another rebuild runs, or this database or its user allows none.
        sqlalchemy.exc.DBAPIError: the database cannot be reached or refuses.
    """
    beside = _on_sqlite if make_url(url).get_backend_name() == "sqlite" else _on_postgresql
    async with beside(url) as places:
        yield places


@asynccontextmanager
async def _on_sqlite(url: str) -> AsyncIterator[Places]:
    database = make_url(url).database
    if not database or database == ":memory:":
        raise RebuildRefused("a database in memory cannot be rebuilt: set DATABASE_URL to a file")
    file = Path(f"{database}.rebuild")
    with _alone(Path(f"{file}.lock")):
        _remove(file)
        await migrate(url)
        engine = open_engine(url)
        event.listen(engine.sync_engine, "connect", _attach(file))
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_beside.create_all, checkfirst=False)
            # A name without a schema means any attached file: a missing table must not be found in the wrong one.
            yield _places(engine, live="main")
        finally:
            await engine.dispose()
            _remove(file)


@asynccontextmanager
async def _on_postgresql(url: str) -> AsyncIterator[Places]:
    engine = open_engine(url)
    try:
        # The turn ends with this connection, however this process ends.
        async with engine.connect() as holder:
            await holder.execution_options(isolation_level="AUTOCOMMIT")
            if not (await holder.execute(text("SELECT pg_try_advisory_lock(:turn)"), {"turn": _TURN})).scalar_one():
                raise RebuildRefused(_RUNS)
            await migrate(url)
            await _make_schema(holder)
            yield _places(engine, live=None)
            await holder.execute(text(f"DROP SCHEMA {SCHEMA} CASCADE"))
    finally:
        await engine.dispose()


def _places(engine: AsyncEngine, *, live: str | None) -> Places:
    return Places(
        engine.execution_options(schema_translate_map={None: live}),
        engine.execution_options(schema_translate_map={None: SCHEMA}),
        live,
    )


async def _make_schema(connection: AsyncConnection) -> None:
    await connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
    try:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        told = f"a rebuild fills tables in a schema {SCHEMA}, which this user may not make"
        raise RebuildRefused(f"{told}: GRANT CREATE ON DATABASE … TO …, or rebuild as another user") from error
    await connection.run_sync(_beside.create_all, checkfirst=False)
    for name in FRESH:
        # After a crash of the server they are empty, all of them, and this rebuild has failed anyway.
        await connection.execute(text(f"ALTER TABLE {SCHEMA}.{name} SET UNLOGGED"))


def _attach(file: Path) -> Callable[[Any, ConnectionPoolEntry], None]:
    def set_up(connection: Any, record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"ATTACH DATABASE ? AS {SCHEMA}", (str(file),))
        # Nobody needs this file after a crash.
        cursor.execute(f"PRAGMA {SCHEMA}.journal_mode = MEMORY")
        cursor.execute(f"PRAGMA {SCHEMA}.synchronous = OFF")
        cursor.close()
        # For comparing (infra.storage.twins): PostgreSQL knows what JSON means by itself.
        connection.create_function("omniscope_same_json", 2, _same_json, deterministic=True)

    return set_up


def _same_json(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(json.loads(one) == json.loads(other))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Holds a lock that ends with this process, and removes its file."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RebuildRefused(_RUNS) from None
        if not lock.exists() or not os.path.samestat(os.fstat(descriptor), lock.stat()):
            raise RebuildRefused(_RUNS)  # it ends this very moment
        yield
        lock.unlink()
    finally:
        os.close(descriptor)


def _remove(file: Path) -> None:
    for left in (file, Path(f"{file}-journal"), Path(f"{file}-wal"), Path(f"{file}-shm")):
        left.unlink(missing_ok=True)
