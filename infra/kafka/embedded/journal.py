"""The embedded broker's log on disk: one SQLite file that holds record batches as they came, and groups' offsets.

What is written survives the death of any process. It is handed to the disk when SQLite copies its write-ahead log
into the file (synchronous=NORMAL), so a power cut may cost the last seconds, and leaves an earlier, whole state.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .batches import Batch, BrokenBatch, check, holes
from .journal_file import LOCK_S, inspect, make, told
from .plain_client import Partition

Offsets = Mapping[str, Mapping[Partition, int]]
"""Group → partition → the next offset."""


class Journal:
    """The file, used by one process. Writing raises sqlite3.Error, reading JournalError."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """Opens the file, or makes it where there is none.

        Raises:
            JournalError: it is damaged, of another version, in use, or cannot be made.
        """
        with told(path):
            if not path.exists():
                make(path)
            db = sqlite3.connect(path, LOCK_S, isolation_level=None, check_same_thread=False)
            try:
                inspect(db)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    def close(self) -> None:
        self._db.close()

    def topics(self) -> dict[str, int]:
        """Topic → number of partitions; what holds least comes first."""
        with told(self.path):
            rows = self._db.execute(
                "SELECT name, partitions FROM topic LEFT JOIN batch ON batch.topic = topic.id GROUP BY topic.id"
                " ORDER BY count(base), name"
            )
            return dict(rows.fetchall())

    def ends(self) -> dict[Partition, int]:
        """Partition → the offset behind the last one that is written down."""
        with told(self.path):
            found = {(name, number): 0 for name, count in self.topics().items() for number in range(count)}
            rows = self._db.execute(
                "SELECT name, partition, max(next) FROM batch JOIN topic ON id = topic GROUP BY topic, partition"
            )
            return found | {(name, number): end for name, number, end in rows}

    def batches(self, topic: str) -> Iterator[tuple[int, Batch]]:
        """(partition, batch), by partition and offset, without gaps.

        Raises:
            JournalError: one is missing or damaged.
        """
        behind: dict[int, int] = {}
        with told(self.path):
            for number, batch in self._rows(topic):
                check(batch)
                if batch.base != behind.get(number, 0):
                    raise BrokenBatch(f"of {topic}[{number}] the offsets from {behind.get(number, 0)} on are missing")
                behind[number] = batch.next
                yield number, batch

    def _rows(self, topic: str) -> Iterator[tuple[int, Batch]]:
        rows = self._db.execute(
            "SELECT partition, base, next, hole, data FROM batch JOIN topic ON id = topic WHERE name = ?"
            " ORDER BY partition, base",
            (topic,),
        )
        return ((number, Batch(base, next_, bool(hole), data)) for number, base, next_, hole, data in rows)

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Whether a record stands there."""
        with told(self.path):
            rows = self._db.execute(
                "SELECT next, hole FROM batch JOIN topic ON id = topic"
                " WHERE name = ? AND partition = ? AND base <= ? ORDER BY base DESC LIMIT 1",
                (topic, partition, offset),
            )
            return any(offset < next_ and not hole for next_, hole in rows)

    def committed(self) -> dict[str, dict[Partition, int]]:
        """Group → what it had committed."""
        found: dict[str, dict[Partition, int]] = {}
        with told(self.path):
            rows = self._db.execute(
                "SELECT c.name, t.name, partition, next FROM committed c JOIN topic t ON t.id = topic"
            )
            for group, topic, number, next_ in rows:
                found.setdefault(group, {})[topic, number] = next_
        return found

    @property
    def complete_ms(self) -> int:
        """Unix time in ms: whatever the broker acknowledged before it is written down."""
        with told(self.path):
            return int(self._db.execute("SELECT complete_ms FROM state").fetchone()[0])

    @property
    def ended_well(self) -> bool:
        """Whether the last broker was stopped after everything was written down."""
        with told(self.path):
            return bool(self._db.execute("SELECT ended_well FROM state").fetchone()[0])

    def end(self, *, well: bool) -> None:
        """Says what `ended_well` is to be for whoever opens the file next."""
        with told(self.path):
            self._db.execute("PRAGMA synchronous = FULL")  # this one word must outlive a power cut
            self._db.execute("UPDATE state SET ended_well = ?", (well,))
            self._db.execute("PRAGMA synchronous = NORMAL")

    def write(
        self,
        topics: Mapping[str, int],
        batches: Mapping[Partition, Iterable[Batch]],
        committed: Offsets | None = None,
        complete_ms: int | None = None,
    ) -> None:
        """Writes all of it or nothing. `topics` are all that there are: what is known of others is removed.

        Args:
            committed: what all groups have committed, where that has changed.
            complete_ms: see the property.
        """
        with self._transaction():
            ids = self._know(topics)
            self._add((ids[topic], number, one) for (topic, number), these in batches.items() for one in these)
            if committed is not None:
                self._db.execute("DELETE FROM committed")
                self._db.executemany(
                    "INSERT INTO committed VALUES (?, ?, ?, ?)",
                    (
                        (group, ids[topic], number, next_)
                        for group, offsets in committed.items()
                        for (topic, number), next_ in offsets.items()
                    ),
                )
            if complete_ms is not None:
                self._db.execute("UPDATE state SET complete_ms = ?", (complete_ms,))

    def trim(self, topic: str, before_ms: int) -> int:
        """Puts holes in place of what is older, from the head of each partition on; returns how many offsets went.

        What follows keeps its offsets. The file does not get smaller: its room is used again.
        """
        old: dict[int, list[Batch]] = {}
        with told(self.path):
            newer: set[int] = set()
            for number, batch in self._rows(topic):
                if number not in newer and batch.newest_ms < before_ms:
                    old.setdefault(number, []).append(batch)
                else:
                    newer.add(number)
        old = {number: batches for number, batches in old.items() if not all(batch.is_hole for batch in batches)}
        with self._transaction():
            (id_,) = self._db.execute("SELECT id FROM topic WHERE name = ?", (topic,)).fetchone() or (0,)
            for number, batches in old.items():
                end = batches[-1].next
                self._db.execute("DELETE FROM batch WHERE topic = ? AND partition = ? AND base < ?", (id_, number, end))
                self._add((id_, number, batch) for batch in holes(0, end))
        return sum(batches[-1].next for batches in old.values())

    def forget(self, topic: str) -> None:
        """Removes what is known of a topic that was deleted and, perhaps, made anew."""
        with self._transaction():
            self._know({name: count for name, count in self.topics().items() if name != topic})

    def _add(self, batches: Iterable[tuple[int, int, Batch]]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO batch VALUES (?, ?, ?, ?, ?, ?)",
            ((id_, number, batch.base, batch.next, batch.is_hole, batch.data) for id_, number, batch in batches),
        )

    def _know(self, topics: Mapping[str, int]) -> dict[str, int]:
        """Makes these the known topics; their ids."""
        known = {name: (id_, count) for id_, name, count in self._db.execute("SELECT id, name, partitions FROM topic")}
        for name in known.keys() - topics.keys():
            for table in ("batch", "committed"):
                self._db.execute(f"DELETE FROM {table} WHERE topic = ?", (known[name][0],))  # noqa: S608 - our names
            self._db.execute("DELETE FROM topic WHERE id = ?", (known[name][0],))
        for name, count in topics.items():
            if known.get(name, (0, 0))[1] != count:
                self._db.execute(
                    "INSERT INTO topic (name, partitions) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET partitions = excluded.partitions",
                    (name, count),
                )
        return {name: id_ for id_, name in self._db.execute("SELECT id, name FROM topic")}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
