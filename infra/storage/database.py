"""The read model's database: SQLite for one machine, PostgreSQL for many."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

import schemas.migrations

#: How long a connection waits for another's transaction before it says that the database is locked.
BUSY_S = 10.0
_MIGRATION_BUSY_S = 60.0
#: Any number, the same for every process of this system: it names the lock that migrations take turns by.
_MIGRATION_LOCK = 0x0031_6C6D


def open_engine(url: str) -> AsyncEngine:
    """An engine for `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`; connects when it is first used.

    Raises:
        ValueError: the address is of another kind.
    """
    return _open(url, BUSY_S)


async def migrate(url: str) -> None:
    """Brings the database's tables to the newest revision. Any number of processes may do so at once.

    Raises:
        ValueError: the address is of another kind.
        sqlalchemy.exc.DBAPIError: the database cannot be reached or refuses.
    """
    engine = _open(url, _MIGRATION_BUSY_S)
    try:
        async with engine.connect() as connection:
            await _lock(connection)
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


def is_poison(error: Exception) -> bool:
    """Whether a value is to blame: the same statement fails again, however long one waits.

    Anything else (a lock, a lost connection, a full disk, a missing table) may pass.
    """
    if not isinstance(error, DBAPIError):
        # A parameter that no driver can express: too large an integer, NaN in JSON, half a surrogate pair.
        return isinstance(error, StatementError | OverflowError | ValueError | TypeError)
    state = getattr(error.orig, "sqlstate", None) or ""
    return (
        isinstance(error, DataError | IntegrityError)
        or state[:2] in _POISON_STATES
        # asyncpg's own refusal, before the server is asked: an InterfaceError that is also a ValueError.
        or isinstance(getattr(error.orig, "__cause__", None), ValueError)
    )


#: PostgreSQL's classes of errors: data exception, integrity violation, program limit (a key too long for an index).
_POISON_STATES = {"22", "23", "54"}


def _open(url: str, busy_s: float) -> AsyncEngine:
    address = make_url(url)
    # Parameters are people's data: no error message may show them.
    common: dict[str, Any] = {"json_serializer": _to_json, "hide_parameters": True}
    if address.drivername == "sqlite+aiosqlite":
        engine = create_async_engine(address, connect_args={"timeout": busy_s}, **common)
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "checkout", _refuse_a_removed_file)
        return engine
    if address.drivername == "postgresql+asyncpg":
        return create_async_engine(address, pool_pre_ping=True, **common)
    raise ValueError(
        f"DATABASE_URL begins with {address.drivername}://: use sqlite+aiosqlite:///path or postgresql+asyncpg://…"
    )


# NaN and Infinity are no JSON: PostgreSQL refuses them, and so does this on SQLite.
_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _set_up_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # The log is the truth: what a power cut takes from the last commits is read again from there.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Readers do not wait for the projector, nor it for them.
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA database_list")
    path = cursor.fetchone()[2]
    record.info["file"] = path, _identity(path)
    cursor.close()


def _refuse_a_removed_file(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """SQLite goes on with a file that was removed or replaced, and all that is written there is lost in silence."""
    path, opened = record.info["file"]
    if _identity(path) != opened:
        raise DisconnectionError(f"{path} is not the file that it was")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        told = Path(path).stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


async def _lock(connection: AsyncConnection) -> None:
    """Opens the transaction in which nobody else migrates."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("BEGIN EXCLUSIVE")
    else:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(schemas.migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
