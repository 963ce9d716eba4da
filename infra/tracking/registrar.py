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

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError

from infra.jobs.ports import Outcomes
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.outage import Outage
from infra.kafka.outcomes import KafkaOutcomes
from infra.kafka.topics import ensure_topics
from infra.settings import Settings, SettingsError
from infra.storage.store import ObjectStore
from infra.tracking.log_reader import LogReader
from infra.tracking.place import Partition, Places
from infra.tracking.recorder import Recorder
from infra.tracking.tracking_store import check_tracking_uri, open_tracking_store
from infra.tracking.waiting import Waiting
from infra.tracking.writing import Moved, Writer

log = structlog.get_logger(__name__)

_BROKER_WAIT_S = 30.0
#: How often, at most, the place is written down.
_SAVE_EVERY_S = 1.0
#: How long what is under way may take after the registrar was told to stop.
_GRACE_S = 2.0
#: The embedded broker is stopped next: what is written down by then need not wait for the next start.
_LAST_READING_S = 10.0


def _nothing() -> None: ...


async def run(settings: Settings, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
    """Keeps MLflow until `stop` is set. Makes the topics it needs; calls `ready` when it is about to read.

    Raises:
        BrokerUnreachable: there was no broker to begin with.
        TopicsError: the topics are not as they must be.
        SettingsError: MLFLOW_TRACKING_URI is no address of a tracking store.
        ModuleNotFoundError: the driver of its database is not installed.
    """
    settings.make_data_dir()
    check_tracking_uri(settings.tracking_uri)
    await ensure_topics(settings, wait_s=_BROKER_WAIT_S)
    async with KafkaOutcomes(settings) as outcomes:
        await Registrar(settings, outcomes).run(stop, ready)


@dataclass(slots=True)
class Term:
    """What belongs to one time of leading: where it writes, what waits, and how far it has come."""

    places: Places
    recorder: Recorder
    waiting: Waiting
    next: dict[Partition, int]
    saved: dict[Partition, int]
    saved_at: float = 0.0
    #: Whether the last look found nothing more to read.
    caught_up: bool = False


class Registrar(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """One reader of the log; it leads or stands by.

    Args:
        outcomes: where `registered`, `promoted` and dead letters go.
    """

    def __init__(self, settings: Settings, outcomes: Outcomes) -> None:
        self._settings = settings
        self._outcomes = outcomes
        self._artifacts = ObjectStore.open(settings.artifacts)
        self._writer = Writer(settings.kafka_session_timeout_s)
        self._log = LogReader(settings, self, self._writer.confirm)
        self._broker = Outage("the broker")
        self._joined = False  # whether the group has shared the partitions out
        self._moved = False  # whether it has since our term began
        self._term: Term | None = None
        self._news = asyncio.Condition()
        self._places: dict[Partition, int] = {}

    @property
    def leads(self) -> bool:
        return self._term is not None and not self._moved

    @property
    def writes(self) -> int:
        """How often this process has written to MLflow, or looked there."""
        return self._writer.calls

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
        """Reads until `stop` is set; no outage of broker or MLflow ends it."""
        reading = asyncio.create_task(self._read(stop, ready))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((reading,), timeout=_LAST_READING_S if self._reads_on() else _GRACE_S)
        finally:
            for task in (stopping, reading):
                task.cancel()
            try:
                with suppress(asyncio.CancelledError):
                    await reading
            finally:
                await self._writer.close()  # before the group lets somebody else write
                await self._log.stop()

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

    def _reads_on(self) -> bool:
        """Whether there may be something to read that is gone when the embedded broker stops behind us."""
        if not self._settings.embedded_broker or self._writer.is_waiting or self._log.is_waiting:
            return False
        if self._term is None or self._moved:
            return not self._joined or self._moved
        return not self._term.caught_up

    async def _read(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        await self._log.start()
        ready()
        asked = False
        while not asked or self._reads_on():
            asked = stop.is_set()  # once more after that: the last words may have come in the meantime
            try:
                if self._moved and self._joined:
                    await self._begin_term()
                if self._term is None or self._moved:
                    await self._log.idle()
                else:
                    await self._go_on(self._term)
            except (Moved, IllegalStateError):
                self._moved = True
        if self._term is not None:
            with suppress(Moved):
                await self._save(self._term)

    async def _begin_term(self) -> None:
        """After every change of the assignment: whether we lead, and where to go on if so."""
        self._term, self._moved = None, False
        partitions = self._log.assigned()
        if not partitions:
            log.info("standing_by")
            return
        self._writer.begin_term()
        epoch = await self._broker.wait_out(lambda: ensure_epoch(self._settings))
        never = (SettingsError, ModuleNotFoundError)
        store = await self._writer.patiently(partial(open_tracking_store, self._settings), unless=never)
        places = await self._writer.patiently(partial(Places, store, epoch))
        next_ = await self._writer.patiently(partial(places.load, partitions))
        if self._moved:
            raise Moved
        self._log.begin(epoch, next_)
        recorder = Recorder(store, epoch, places, self._writer, self._outcomes, self._artifacts)
        self._term = Term(places, recorder, Waiting(), next_, dict(next_))
        log.info("leading", epoch=epoch, partitions=len(partitions))
        await self._tell(next_)

    async def _go_on(self, term: Term) -> None:
        """Reads some, records what is its turn, and writes down how far that is."""
        await self._log.fetch()
        if self._moved:
            raise Moved
        drained = await self._log.drained(term.next)
        records = self._log.release(drained)
        for record in await term.recorder.record(records):
            term.waiting.add(record)
        for record in records:
            term.next[record.place.topic, record.place.partition] = record.place.offset + 1
        await self._try_again(term, self._log.horizon_ms(drained))
        term.caught_up = len(drained) == len(term.next) and not records
        places = term.waiting.before(term.next)
        if places != term.saved and time.monotonic() - term.saved_at > _SAVE_EVERY_S:
            await self._save(term)
        await self._tell(places)

    async def _try_again(self, term: Term, horizon_ms: int) -> None:
        due = term.waiting.due()
        still = await term.recorder.record(due)
        for record in term.waiting.put_back(due, still, horizon_ms):
            await term.recorder.give_up(record)

    async def _save(self, term: Term) -> None:
        places = term.waiting.before(term.next)
        await self._writer.patiently(lambda: term.places.save(places))
        term.saved, term.saved_at = places, time.monotonic()

    async def _tell(self, places: dict[Partition, int]) -> None:
        async with self._news:
            self._places.update(places)
            self._news.notify_all()
