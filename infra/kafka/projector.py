"""The projector: reads every topic and keeps the tables up to date.

Its place in the log stands in the same transaction as the rows, so whatever dies, no record is projected half, and
none is skipped. The consumer group only shares the partitions out; what it believes of offsets is never asked.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError
from sqlalchemy.ext.asyncio import AsyncEngine

from events.topics import TOPICS, Topic
from infra.jobs.ports import Outcomes
from infra.settings import Settings
from infra.storage import offsets
from infra.storage.database import migrate, open_engine
from infra.storage.offsets import Fenced, Partition
from schemas.projection import Record

from . import closing
from .burial import PublishedBurial
from .log_epoch import ensure_epoch
from .outage import Outage
from .outcomes import KafkaOutcomes
from .reading import join, record_of
from .settling import Settler
from .topics import ensure_topics

log = structlog.get_logger(__name__)

GROUP = "omniscope-ml-projector"
PROJECTED: tuple[str, ...] = tuple(spec.name.value for spec in TOPICS if spec.name is not Topic.LOG)

_BATCH = 2000
_POLL_MS = 200
_BROKER_WAIT_S = 30.0
#: How long a transaction under way may take to end after the projector was told to stop.
_GRACE_S = 2.0


def _nothing() -> None: ...


async def run(settings: Settings, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
    """Projects until `stop` is set. Makes the tables and topics it needs; calls `ready` when it is about to read.

    Raises:
        BrokerUnreachable: there was no broker to begin with.
        TopicsError: the topics are not as they must be.
    """
    settings.make_data_dir()
    await migrate(settings.database)
    await ensure_topics(settings, wait_s=_BROKER_WAIT_S)
    engine = open_engine(settings.database)
    try:
        async with KafkaOutcomes(settings) as outcomes:
            await Projector(settings, engine, outcomes).run(stop, ready)
    finally:
        await engine.dispose()


class Projector(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """One reader of the log. Any number may run: the group shares the partitions out, the database fences.

    Args:
        engine: the read model, migrated.
        outcomes: where records go that cannot be projected.
        instance: a name that stays the same over restarts spares the group a rebalance; None: a new one each time.
    """

    def __init__(
        self, settings: Settings, engine: AsyncEngine, outcomes: Outcomes, *, instance: str | None = None
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._instance = instance
        self._consumer: Any = None
        self._epoch = ""
        self._assignments = 0  # how often the assignment has changed, and for which of them we took our places
        self._placed_for = 0
        self._next: dict[Partition, int] = {}
        self._news = asyncio.Condition()
        self._broker = Outage("the broker")
        self._database = Outage("the database")
        self._settler = Settler(engine, PublishedBurial(outcomes, broker=self._broker), database=self._database)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
        """Projects until `stop` is set; no outage of broker or database ends it."""
        reading = asyncio.create_task(self._read(stop, ready))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((reading,), timeout=_GRACE_S)
        finally:
            for task in (stopping, reading):
                task.cancel()
            try:
                with suppress(asyncio.CancelledError):
                    await reading
            finally:
                if self._consumer is not None:
                    await closing.stop(self._consumer)

    async def wait_until(self, topic: str, partition: int, offset: int) -> None:
        """Returns when the tables hold the record at `offset`, as far as this projector knows."""
        async with self._news:
            await self._news.wait_for(lambda: self._next.get((topic, partition), 0) > offset)

    async def wait_until_placed(self) -> None:
        """Returns when the partitions are shared out and this projector knows where to go on in its own."""
        async with self._news:
            await self._news.wait_for(lambda: 0 < self._assignments == self._placed_for)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._assignments += 1

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._assignments += 1

    async def _read(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        self._consumer = await self._broker.wait_out(self._connected)
        ready()
        while not stop.is_set():
            await self._take_places()
            batch = await self._broker.wait_out(self._poll)
            # The assignment may have changed while reading: what was read may be somebody else's by now.
            if batch and self._placed_for == self._assignments:
                await self._settle([record_of(self._epoch, read) for reads in batch.values() for read in reads])
            await self._rewind_what_lost_its_end()

    async def _connected(self) -> Any:
        return await join(self._settings, PROJECTED, self, group=GROUP, group_instance_id=self._instance)

    async def _poll(self) -> Any:
        return await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)

    async def _take_places(self) -> None:
        """After every change of the assignment, the table says where to go on."""
        while self._placed_for != self._assignments:
            assignments = self._assignments
            self._epoch = await self._broker.wait_out(lambda: ensure_epoch(self._settings))
            places = await self._database.wait_out(self._load_places)
            try:
                for partition, next_ in places.items():
                    self._consumer.seek(TopicPartition(*partition), next_)
            except IllegalStateError:
                continue  # taken away again in the meantime
            self._placed_for = assignments
            self._next.clear()
            await self._tell(places)
            log.info("projecting", epoch=self._epoch, partitions=len(places))

    async def _load_places(self) -> dict[Partition, int]:
        assigned: Iterable[TopicPartition] = self._consumer.assignment()
        async with self._engine.begin() as connection:
            return await offsets.load(connection, self._epoch, [(tp.topic, tp.partition) for tp in assigned])

    async def _settle(self, records: list[Record]) -> None:
        try:
            behind = await self._settler.settle(self._epoch, records)
        except Fenced as fenced:
            log.info("fenced", error=str(fenced))
            self._assignments += 1  # so the places are taken again
        else:
            await self._tell({partition: last + 1 for partition, (_, last) in behind.items()})

    async def _rewind_what_lost_its_end(self) -> None:
        """Where the log ends before our place, other records will stand at the offsets we believe to be behind us.

        Reading a partition again does no harm: rows that are right stay as they are.
        """
        assigned = self._consumer.assignment()
        for partition, next_ in list(self._next.items()):
            place = TopicPartition(*partition)
            # As the last fetch told it: the embedded broker answers the direct question wrongly.
            end = self._consumer.highwater(place) if place in assigned else None
            if end is not None and next_ > end:
                log.warning("reading_again", topic=place.topic, partition=place.partition, log_end=end, place=next_)
                await self._database.wait_out(partial(self._rewind, partition, end))
                self._assignments += 1

    async def _rewind(self, partition: Partition, end: int) -> None:
        async with self._engine.begin() as connection:
            await offsets.rewind_beyond(connection, self._epoch, partition, end)

    async def _tell(self, places: dict[Partition, int]) -> None:
        async with self._news:
            self._next.update(places)
            self._news.notify_all()
