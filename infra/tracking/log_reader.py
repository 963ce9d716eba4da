"""Reading the log for one writer: the group's whole assignment, from places that are told, in the order of time."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError

from events.topics import Topic
from infra.kafka import closing
from infra.kafka.membership import confirm_by_heartbeats
from infra.kafka.outage import Outage
from infra.kafka.reading import join, record_of
from infra.settings import Settings
from infra.tracking.leading import AllToOne
from infra.tracking.place import Partition
from infra.tracking.time_order import TimeOrder
from schemas.projection import Record

log = structlog.get_logger(__name__)

GROUP = "omniscope-ml-registrar"
#: Of equal times: a model before the end of its job, so that a run that has ended says everything.
READ = (Topic.MODELS, Topic.JOBS, Topic.PROGRESS, Topic.MODEL_PROMOTION)

_POLL_MS = 200
_BATCH = 500
#: How long a partition that does not answer may hold up the others.
_HOLD_UP_S = 2.0


class LogReader:
    """One member of the group. All methods that read wait out a broker that is away.

    Args:
        listener: is told of changes of the assignment.
        confirmed: called whenever the group has answered.
    """

    def __init__(self, settings: Settings, listener: ConsumerRebalanceListener, confirmed: Callable[[], None]) -> None:
        self._settings = settings
        self._listener = listener
        self._confirmed = confirmed
        self._consumer: Any = None
        self._away = Outage("the broker")
        self._epoch = ""
        self._order = TimeOrder(READ, ())
        self._held_since: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the broker is away."""
        return self._away.lasts

    async def start(self) -> None:
        self._consumer = await self._away.wait_out(self._connected)

    async def stop(self) -> None:
        if self._consumer is not None:
            await closing.stop(self._consumer)

    def assigned(self) -> list[Partition]:
        return [(place.topic, place.partition) for place in self._consumer.assignment()]

    def begin(self, epoch: str, places: Mapping[Partition, int]) -> None:
        """Goes to the places; what was held of another assignment is forgotten.

        Raises:
            IllegalStateError: a partition has been taken away again.
        """
        for (topic, number), offset in places.items():
            self._consumer.seek(TopicPartition(topic, number), offset)
        self._epoch, self._order, self._held_since = epoch, TimeOrder(READ, places), None

    async def idle(self) -> None:
        """A moment without reading anything, while another one leads."""
        await self._poll([])

    async def fetch(self) -> None:
        """Reads some more of each partition of which little is held."""
        hungry = [TopicPartition(*partition) for partition in self._order.hungry()]
        batch = await self._poll(hungry) if hungry else {}
        self._order.add(record_of(self._epoch, read) for reads in batch.values() for read in reads)

    async def drained(self, places: Mapping[Partition, int]) -> set[Partition]:
        """Those of the partitions that were read to their end, as the last fetch told it.

        The embedded broker answers the direct question wrongly. A log that ends before our place has lost its end:
        it is read again from its beginning, which changes nothing that is right.
        """
        found = set()
        for partition in places:
            place = TopicPartition(*partition)
            end, position = self._consumer.highwater(place), await self._consumer.position(place)
            if end is not None and position > end:
                log.warning("reading_again", topic=place.topic, partition=place.partition, log_end=end, place=position)
                self._consumer.seek(place, 0)
            elif end is not None and position == end:
                found.add(partition)
        return found

    def release(self, drained: set[Partition]) -> list[Record]:
        """The next records, in the order of their time."""
        records = self._order.release(drained)
        if records or not self._order.holds():
            self._held_since = None
            return records
        now = time.monotonic()
        self._held_since = self._held_since or now
        return self._order.release(self._order.partitions) if now - self._held_since > _HOLD_UP_S else []

    def horizon_ms(self, drained: set[Partition]) -> int:
        """See `TimeOrder`."""
        return self._order.horizon_ms(drained)

    async def _connected(self) -> Any:
        alone = (AllToOne(),)
        consumer = await join(self._settings, READ, self._listener, group=GROUP, partition_assignment_strategy=alone)
        confirm_by_heartbeats(consumer, self._confirmed)
        return consumer

    async def _poll(self, partitions: list[TopicPartition]) -> Any:
        async def once() -> Any:
            return await self._consumer.getmany(*partitions, timeout_ms=_POLL_MS, max_records=_BATCH)

        return await self._away.wait_out(once, unless=IllegalStateError)
