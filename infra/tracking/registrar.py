"""The registrar: reads what jobs tell, and keeps MLflow up to date. No job waits for it.

Of any number of registrars one writes (`leading`); where it stands in the log is kept in MLflow (`place`), and
everything it does there can be done twice. So whatever dies or is away, the next one goes on, and an empty MLflow is
filled again from the beginning of the log.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError

from events.topics import Topic
from infra.jobs.ports import Outcomes
from infra.kafka.connection import client_settings
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.outage import Outage
from infra.kafka.outcomes import KafkaOutcomes
from infra.kafka.topics import ensure_topics
from infra.settings import Settings, SettingsError
from infra.storage.store import ObjectStore
from infra.tracking.leading import AllToOne
from infra.tracking.place import Partition, Places
from infra.tracking.recorder import Recorder
from infra.tracking.time_order import TimeOrder
from infra.tracking.tracking_store import check_tracking_uri, open_tracking_store
from infra.tracking.waiting import Waiting
from infra.tracking.writing import Moved, Writer
from schemas.projection import Place, Record

log = structlog.get_logger(__name__)

GROUP = "omniscope-ml-registrar"
#: Of equal times: a model before the end of its job, so that a run that has ended says everything.
READ = (Topic.MODELS, Topic.JOBS, Topic.PROGRESS, Topic.MODEL_PROMOTION)

_POLL_MS = 200
_BATCH = 500
_BROKER_WAIT_S = 30.0
#: How long a partition that does not answer may hold up the others.
_HOLD_UP_S = 2.0
#: How often, at most, the place is written down while there is much to do.
_SAVE_EVERY_S = 1.0
_GRACE_S = 2.0


def _nothing() -> None: ...


async def run(settings: Settings, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
    """Keeps MLflow until `stop` is set. Makes the topics it needs; calls `ready` when it is about to read.

    Raises:
        BrokerUnreachable: there was no broker to begin with.
        TopicsError: the topics are not as they must be.
        SettingsError: MLFLOW_TRACKING_URI is no address of a tracking store.
    """
    settings.make_data_dir()
    check_tracking_uri(settings.tracking_uri)
    await ensure_topics(settings, wait_s=_BROKER_WAIT_S)
    async with KafkaOutcomes(settings) as outcomes:
        await Registrar(settings, outcomes).run(stop, ready)


@dataclass(slots=True)
class Term:
    """What belongs to one time of leading: where it reads, where it writes, and what is on its way."""

    epoch: str
    places: Places
    recorder: Recorder
    order: TimeOrder
    waiting: Waiting
    next: dict[Partition, int]
    saved: dict[Partition, int]
    saved_at: float = 0.0
    held_since: float | None = None


class Registrar(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """One reader of the log; it leads or stands by.

    Args:
        outcomes: where `registered`, `promoted` and dead letters go.
    """

    def __init__(self, settings: Settings, outcomes: Outcomes) -> None:
        self._settings = settings
        self._outcomes = outcomes
        self._consumer: Any = None
        self._writer = Writer(settings.kafka_session_timeout_s)
        self._broker = Outage("the broker")
        self._artifacts = ObjectStore.open(settings.artifacts)
        self._joined = False
        self._moved = False
        self._term: Term | None = None
        self._news = asyncio.Condition()
        self._places: dict[Partition, int] = {}

    @property
    def leads(self) -> bool:
        return self._term is not None and not self._moved

    @property
    def calls(self) -> int:
        """How often MLflow's client has been used so far, in units of one step of an event."""
        return self._writer.calls

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
        """Reads until `stop` is set; no outage of broker or MLflow ends it."""
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
                await self._writer.close()  # before the group lets somebody else write
                if self._consumer is not None:
                    await self._consumer.stop()

    async def wait_until(self, topic: str, partition: int, offset: int) -> None:
        """Returns when MLflow holds the record at `offset`, as far as this registrar knows."""
        async with self._news:
            await self._news.wait_for(lambda: self._places.get((topic, partition), 0) > offset)

    async def wait_until_leading(self) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self.leads)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        # The next one leads when this returns: nothing may be under way then.
        self._joined, self._moved = False, True
        await self._writer.hand_over()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._writer.confirm()
        self._joined, self._moved = True, True

    async def _read(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        self._consumer = await self._broker.wait_out(self._connected)
        ready()
        while not stop.is_set():
            try:
                if self._moved and self._joined:
                    await self._begin_term()
                if self._term is None or self._moved:
                    await self._poll([])
                else:
                    await self._go_on(self._term)
            except (Moved, IllegalStateError):
                self._moved = True
        if self._term is not None:
            with suppress(Moved):
                await self._save(self._term)

    async def _connected(self) -> Any:
        consumer = AIOKafkaConsumer(
            **client_settings(self._settings),
            group_id=GROUP,
            partition_assignment_strategy=(AllToOne(),),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=int(self._settings.kafka_session_timeout_s * 1000),
            heartbeat_interval_ms=1000,
            max_poll_interval_ms=10**9,  # a long outage of MLflow is no reason to leave the group
            fetch_max_wait_ms=50,
        )
        consumer.subscribe(READ, listener=self)
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._confirm_by_heartbeats(consumer)
        return consumer

    def _confirm_by_heartbeats(self, consumer: Any) -> None:
        coordinator = consumer._coordinator
        beat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            confirmed: bool = await beat()
            if confirmed:
                self._writer.confirm()
            return confirmed

        coordinator._do_heartbeat = heartbeat

    async def _begin_term(self) -> None:
        """After every change of the assignment: whether we lead, and where to go on if so."""
        self._term, self._moved = None, False
        assigned = self._consumer.assignment()
        if not assigned:
            log.info("standing_by")
            return
        self._writer.begin_term()
        partitions = [(tp.topic, tp.partition) for tp in assigned]
        epoch = await self._broker.wait_out(lambda: ensure_epoch(self._settings))
        never = (SettingsError, ModuleNotFoundError)
        store = await self._writer.patiently(partial(open_tracking_store, self._settings), unless=never)
        places = await self._writer.patiently(partial(Places, store, epoch))
        next_ = await self._writer.patiently(partial(places.load, partitions))
        if self._moved:
            raise Moved
        for (topic, number), offset in next_.items():
            self._consumer.seek(TopicPartition(topic, number), offset)
        recorder = Recorder(store, epoch, places, self._writer, self._outcomes, self._artifacts)
        order = TimeOrder(READ, partitions)
        self._term = Term(epoch, places, recorder, order, Waiting(), next_, dict(next_))
        log.info("leading", epoch=epoch, partitions=len(partitions))
        await self._tell(next_)

    async def _go_on(self, term: Term) -> None:
        """Reads some, records what is its turn, and writes down how far that is."""
        await self._fetch(term)
        drained = await self._drained(term)
        released = self._released(term, drained)
        for record in await term.recorder.record(released):
            term.waiting.add(record)
        for record in released:
            term.next[record.place.topic, record.place.partition] = record.place.offset + 1
        due = term.waiting.due()
        still = await term.recorder.record(due)
        for record in term.waiting.put_back(due, still, term.order.horizon_ms(drained)):
            await term.recorder.give_up(record)
        places = term.waiting.before(term.next)
        if places != term.saved and time.monotonic() - term.saved_at > _SAVE_EVERY_S:
            await self._save(term)
        await self._tell(places)

    async def _fetch(self, term: Term) -> None:
        hungry = [TopicPartition(*partition) for partition in term.order.hungry()]
        batch = await self._poll(hungry) if hungry else {}
        if self._moved:
            raise Moved
        term.order.add(_record(term.epoch, read) for reads in batch.values() for read in reads)

    async def _poll(self, partitions: list[TopicPartition]) -> Any:
        async def once() -> Any:
            return await self._consumer.getmany(*partitions, timeout_ms=_POLL_MS, max_records=_BATCH)

        return await self._broker.wait_out(once, unless=IllegalStateError)

    async def _drained(self, term: Term) -> set[Partition]:
        """Partitions that were read to their end, as the last fetch told it: the embedded broker knows no better."""
        found = set()
        for partition in term.next:
            place = TopicPartition(*partition)
            end = self._consumer.highwater(place)
            position = await self._consumer.position(place)
            if end is not None and position > end:
                log.warning("reading_again", topic=place.topic, partition=place.partition, log_end=end, place=position)
                self._consumer.seek(place, 0)
                term.next[partition] = 0
            elif end is not None and position == end:
                found.add(partition)
        return found

    def _released(self, term: Term, drained: set[Partition]) -> list[Record]:
        records = term.order.release(drained)
        if records or not term.order.holds():
            term.held_since = None
            return records
        now = time.monotonic()
        term.held_since = term.held_since or now
        return term.order.release(set(term.next)) if now - term.held_since > _HOLD_UP_S else []

    async def _save(self, term: Term) -> None:
        places = term.waiting.before(term.next)
        await self._writer.patiently(lambda: term.places.save(places))
        term.saved, term.saved_at = places, time.monotonic()

    async def _tell(self, places: dict[Partition, int]) -> None:
        async with self._news:
            self._places.update(places)
            self._news.notify_all()


def _record(epoch: str, read: Any) -> Record:
    place = Place(epoch, read.topic, read.partition, read.offset, read.timestamp)
    return Record(place, read.key, read.value, tuple(read.headers))
