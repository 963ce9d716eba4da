"""Reads the log from its beginning into fresh tables, up to wherever one says.

The same reading, projecting and committing as the projector's, but as a member of no group: nobody's partitions move.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from events.dead_letters import DeadLetter
from events.topics import TOPICS
from infra.settings import Settings
from infra.storage import offsets
from infra.storage.fresh import RebuildRefused
from infra.storage.offsets import Partition
from schemas.projection import Place
from schemas.tables import projected_offsets

from .alone import reading_alone
from .outage import Outage
from .reading import record_of
from .settling import Settler

_BATCH = 5000
_POLL_MS = 200
#: How long the broker may give nothing before that is the end of the attempt.
_PATIENCE_S = 60.0
#: The clocks of those who tell events differ, by less than this.
_CLOCKS = timedelta(hours=1)
_KEPT_FOR_A_WHILE = {spec.name.value for spec in TOPICS if spec.retention_ms >= 0}


@dataclass(frozen=True, slots=True)
class Progress:
    """Offsets read and to read, as far as that is known; `per_s`: records a second since the beginning."""

    done: int
    total: int
    per_s: float

    @property
    def eta_s(self) -> float | None:
        return (self.total - self.done) / self.per_s if self.per_s else None


class Replay:
    """One reading of the log. Use it as an async context manager.

    Args:
        fresh: empty tables.
        partitions: all that there are of the topics that are projected.
        told: hears about the progress after each batch.
    """

    def __init__(
        self,
        settings: Settings,
        fresh: AsyncEngine,
        epoch: str,
        partitions: Iterable[Partition],
        told: Callable[[Progress], None],
    ) -> None:
        self._settings = settings
        self._fresh = fresh
        self._epoch = epoch
        self._told = told
        self._buried = _InTheLogAlready()
        self._settler = Settler(fresh, self._buried, database=_NoPatience("the database"))
        self._consumer: Any = None
        self._open = AsyncExitStack()
        self._ends: dict[Partition, int | None] = {}
        self._seen: dict[Partition, int] = {}
        self._heard = self._begun = monotonic()
        #: How far the fresh tables have come.
        self.next: dict[Partition, int] = dict.fromkeys(partitions, 0)
        #: Where the reading began: the first offset that the broker still has.
        self.begins: dict[Partition, int] = {}
        self._first: dict[Partition, Place] = {}
        self.records = 0

    @property
    def unprojectable(self) -> int:
        """Records that cannot be projected and stand among the dead letters."""
        return self._buried.count

    async def __aenter__(self) -> "Replay":
        async with AsyncExitStack() as stack:
            self._consumer = await stack.enter_async_context(reading_alone(self._settings))
            async with self._fresh.begin() as connection:
                await offsets.load(connection, self._epoch, list(self.next))
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def up_to(self, ends: Mapping[Partition, int | None]) -> None:
        """Goes on until every partition is read up to its end (exclusive); None: as far as the log goes now.

        Where the log ends before, so does the reading.

        Raises:
            RebuildRefused: the broker gives nothing more for a long time.
        """
        self._ends = {p: end for p, end in ends.items() if end is None or end > self.next[p]}
        if not self._ends:
            return
        self._heard = monotonic()
        await self._assign()
        waiting = {TopicPartition(*partition) for partition in self._ends}
        while waiting:
            batch = await self._consumer.getmany(*waiting, timeout_ms=_POLL_MS, max_records=_BATCH)
            self._fix_ends(waiting)
            await self._settle(batch)
            reached = {place for place in waiting if await self._is_reached(place)}
            self._consumer.pause(*reached)  # or what is fetched of it and never asked for holds up the others
            waiting -= reached
            self._look_at_the_clock(waiting)
        await self._write_down()

    def trimmed(self) -> dict[str, datetime]:
        """Topic → since when the broker keeps all of its records, of those of which it may have dropped some."""
        found: dict[str, datetime] = {}
        for (topic, number), begin in self.begins.items():
            first = self._first.get((topic, number))
            # The embedded broker leaves holes where records were that it need not keep any more.
            if begin > 0 or (topic in _KEPT_FOR_A_WHILE and (first is None or first.offset > 0)):
                since = first.time + _CLOCKS if first else datetime.max.replace(tzinfo=UTC)
                found[topic] = max(since, found.get(topic, since))
        return found

    async def _assign(self) -> None:
        # Anew each time, so that nothing is believed of the log's end from the last time.
        self._consumer.assign([TopicPartition(*partition) for partition in self._ends])
        for partition in self._ends:
            place = TopicPartition(*partition)
            if partition in self.begins:
                self._consumer.seek(place, self.next[partition])
            else:
                self.begins[partition] = await self._position(place)

    async def _position(self, place: TopicPartition) -> int:
        try:
            return int(await asyncio.wait_for(self._consumer.position(place), _PATIENCE_S))
        except TimeoutError:
            raise self._silent(place) from None

    def _fix_ends(self, waiting: Iterable[TopicPartition]) -> None:
        """Where the log ends is asked of a fetch: the embedded broker answers the direct question wrongly."""
        for place in waiting:
            if self._ends[place] is None:
                self._ends[place] = self._end_of_log(place)

    def _end_of_log(self, place: TopicPartition) -> int | None:
        end: int | None = self._consumer.highwater(place)
        stable: int | None = self._consumer.last_stable_offset(place)  # before a transaction that is still open
        return end if end is None or stable is None or stable < 0 else min(end, stable)

    async def _settle(self, batch: Mapping[TopicPartition, list[Any]]) -> None:
        records = [
            record_of(self._epoch, read) for place, reads in batch.items() for read in reads if self._wants(place, read)
        ]
        if not records:
            return
        for partition, (_, last) in (await self._settler.settle(self._epoch, records)).items():
            self.next[partition] = last + 1
        for record in records:
            self._first.setdefault((record.place.topic, record.place.partition), record.place)
        self.records += len(records)
        self._told(self._progress())

    def _wants(self, place: TopicPartition, read: Any) -> bool:
        end = self._ends[place]
        return end is None or read.offset < end

    async def _is_reached(self, place: TopicPartition) -> bool:
        end = self._ends[place]
        if end is None:
            return False
        # The last records of a partition may be marks of transactions, which are never handed over.
        position = await self._position(place)
        if position != self._seen.get(place):
            self._seen[place], self._heard = position, monotonic()
        log_end = self._end_of_log(place)
        if position < end and (log_end is None or position < log_end):
            return False
        self.next[place] = max(self.next[place], min(position, end))
        return True

    async def _write_down(self) -> None:
        """The places behind gaps and marks, where no record was settled."""
        table = projected_offsets.c
        async with self._fresh.begin() as connection:
            for (topic, partition), next_ in sorted(self.next.items()):
                await connection.execute(
                    update(projected_offsets)
                    .where(table.epoch == self._epoch, table.topic == topic, table.partition == partition)
                    .where(table.next < next_)
                    .values(next=next_)
                )

    def _progress(self) -> Progress:
        read = {p: self.next[p] - self.begins[p] for p in self.begins if self.next[p] > self.begins[p]}
        to_read = sum(max(0, (end or 0) - self.next[p]) for p, end in self._ends.items())
        done = sum(read.values())
        return Progress(done, done + to_read, self.records / max(monotonic() - self._begun, 1e-9))

    def _look_at_the_clock(self, waiting: Iterable[TopicPartition]) -> None:
        if monotonic() > self._heard + _PATIENCE_S:
            for place in waiting:
                raise self._silent(place)

    def _silent(self, place: TopicPartition) -> RebuildRefused:
        end = self._ends.get(place)
        return RebuildRefused(
            f"the broker has sent nothing of {place.topic}[{place.partition}] for {_PATIENCE_S:.0f} s, where offset "
            f"{self.next[place]} is next{'' if end is None else f' and {end} the end'}: is it well?"
        )


class _InTheLogAlready:
    """Buries nothing: the projector did, and its dead letters are read like all the rest."""

    def __init__(self) -> None:
        self.count = 0

    async def bury(self, letter: DeadLetter, error: BaseException | None = None) -> None:
        self.count += 1


class _NoPatience(Outage):
    """A person waits for the end of this, and can begin again."""

    async def wait_out(self, attempt: Any, *, unless: Any = ()) -> Any:
        return await attempt()
