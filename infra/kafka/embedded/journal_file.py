"""The journal's file: how it is made, looked over before it is trusted, and what a person is told who has to act."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .batches import BrokenBatch
from .server import BrokerError

_VERSION = 1
_APPLICATION = 0x4F6D4C31  # «OmL1»
_SCHEMA = """
    CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL);
    CREATE TABLE batch (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL, next INTEGER NOT NULL,
        hole INTEGER NOT NULL, data BLOB NOT NULL
    );
    CREATE UNIQUE INDEX batch_place ON batch (topic, partition, base);
    CREATE TABLE committed (
        name TEXT NOT NULL, topic INTEGER NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
        PRIMARY KEY (name, topic, partition)
    ) WITHOUT ROWID;
    CREATE TABLE state (complete_ms INTEGER NOT NULL, ended_well INTEGER NOT NULL);
    INSERT INTO state VALUES (0, 1);
"""
#: Of two processes on one file the second one is told at once; a transaction of ours is never waited for this long.
LOCK_S = 1.0


class JournalError(BrokerError):
    """The journal cannot be used. The message names the file, what is wrong, and the remedy."""


def make(path: Path) -> None:
    """Makes an empty journal, whole before it has its name. What an earlier one left beside it is put aside."""
    for rest in ("-wal", "-shm"):
        left = Path(f"{path}{rest}")
        if left.exists():
            left.replace(f"{left}.left-behind")
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    db = sqlite3.connect(draft, isolation_level=None)
    try:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
    finally:
        db.close()
    draft.replace(path)


def inspect(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise BrokenBatch("it is no journal of a broker")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != _VERSION:
        raise BrokenBatch(f"it is of version {version}, this program writes version {_VERSION}")
    if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise BrokenBatch(str(found))
    db.execute("UPDATE state SET ended_well = ended_well")  # takes the lock


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Says what a person can do where the file is not as it should be."""
    try:
        yield
    except (BrokenBatch, sqlite3.DatabaseError, OSError) as error:
        raise JournalError(_remedy(path, error)) from error


def _remedy(path: Path, error: Exception) -> str:
    about = f"the journal of the embedded broker, {path},"
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"{about} is in use: another broker runs on this data directory. Stop it, or set DATA_DIR to another"
    if isinstance(error, OSError | sqlite3.OperationalError):
        return f"{about} cannot be opened or written ({error}): correct its rights, or free space on the disk"
    return (
        f"{about} is damaged ({error}): put a backup in its place, or move it away ({path}*) and start again. "
        "The log then begins anew: finished models and datasets stay where they are, in the artifacts, the tables and "
        "MLflow, and jobs that have not ended run again"
    )
