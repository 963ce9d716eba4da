"""Follows the embedded broker's log and writes all of it into the journal, a few milliseconds behind.

What groups have committed is asked first, and written only together with, or after, every record that stood in the
log at that moment. So a journaled acknowledgement never stands without the outcome that it acknowledges.
"""

import asyncio
import time
from collections.abc import Iterable

import structlog

from infra.kafka.outage import Outage

from .batches import Batch, holes
from .journal import Journal, Offsets
from .plain_client import Partition, PlainClient

log = structlog.get_logger(__name__)

#: Between two looks. Nothing announces a record, and a fetch that waits costs this broker more than many that do not.
_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.05
#: How often to look for topics, and for what the groups have committed.
_LOOK_AROUND_S = 0.5
#: For partitions in which something is known to stand.
_PATIENCE_MS = 1000


class Follower:
    """Keeps `journal` up with the broker that `client` speaks to, from where the journal ends."""

    def __init__(self, client: PlainClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal
        self._broker = Outage("the embedded broker")
        self._disk = Outage(f"the journal {journal.path}")
        self._topics = journal.topics()
        self._next = journal.ends()
        self._committed: Offsets = journal.committed()
        self._looked_at = 0.0
        #: Set once everything is written that stood there when the following began.
        self.caught_up = asyncio.Event()
        #: Whether what was lost before has been told again: until then the journal's word that it is complete stays
        #: what it was, so that a second crash finds the first one's losses.
        self.vouches = False

    async def run(self, stop: asyncio.Event) -> None:
        """Follows until `stop` is set; no outage of broker or disk ends it."""
        stopping = asyncio.create_task(stop.wait())
        pause = _PAUSE_S
        try:
            while not stop.is_set():
                news = await self._broker.wait_out(self._look)
                self.caught_up.set()
                pause = _PAUSE_S if news else min(pause * 1.5, _LONGEST_PAUSE_S)
                await asyncio.wait((stopping,), timeout=pause)
        finally:
            stopping.cancel()

    async def drain(self) -> None:
        """Writes down everything that the broker has acknowledged by now."""
        self._looked_at = 0.0
        await self._look()

    async def _look(self) -> bool:
        """One look at everything, until all is written that stood there when it began; whether there was news."""
        began_ms = time.time_ns() // 1_000_000
        committed = await self._look_around() if time.monotonic() - self._looked_at >= _LOOK_AROUND_S else None
        fetched = await self._client.fetch(self._next, wait_ms=1)
        targets = {place: end for place, (end, _) in fetched.items()}
        news = False
        while True:
            found = self._news(fetched)
            news = news or bool(found)
            behind = {place: at for place, at in self._places(found).items() if at < targets.get(place, 0)}
            if found or (committed is not None and not behind):
                complete_ms = began_ms if self.vouches else None
                await self._write(found, *((None, None) if behind else (committed, complete_ms)))
            if not behind:
                return news
            fetched = await self._client.fetch(behind, wait_ms=_PATIENCE_MS)

    async def _look_around(self) -> Offsets | None:
        """Learns which topics there are; what the groups have committed, where anything has changed."""
        topics, known = await self._client.topics(), self._topics
        places = [(name, number) for name, count in topics.items() for number in range(count)]
        self._topics, self._next = topics, {place: self._next.get(place, 0) for place in places}
        committed = {group: offsets for group in await self._client.groups() if (offsets := await self._ask(group))}
        self._looked_at = time.monotonic()
        return committed if (committed, topics) != (self._committed, known) else None

    async def _ask(self, group: str) -> dict[Partition, int]:
        return await self._client.committed(group, self._next)

    async def _write(
        self, found: dict[Partition, list[Batch]], committed: Offsets | None, complete_ms: int | None
    ) -> None:
        async def once() -> None:
            await asyncio.to_thread(self._journal.write, self._topics, found, committed, complete_ms)

        await self._disk.wait_out(once)
        self._next = self._places(found)
        self._committed = self._committed if committed is None else committed

    def _news(self, fetched: dict[Partition, tuple[int, list[Batch]]]) -> dict[Partition, list[Batch]]:
        reborn = {place[0] for place, (end, _) in fetched.items() if end < self._next[place]}
        for topic in reborn:
            self._begin_again(topic)
        found = {
            place: list(_following(self._next[place], batches))
            for place, (_, batches) in fetched.items()
            if place[0] not in reborn
        }
        return {place: batches for place, batches in found.items() if batches}

    def _places(self, found: dict[Partition, list[Batch]]) -> dict[Partition, int]:
        """Where to go on once these are written."""
        return self._next | {place: batches[-1].next for place, batches in found.items()}

    def _begin_again(self, topic: str) -> None:
        """Somebody has deleted the topic and made it anew."""
        log.warning("topic_begun_again", topic=topic)
        self._journal.forget(topic)
        self._next.update({place: 0 for place in self._next if place[0] == topic})


def _following(next_: int, batches: Iterable[Batch]) -> Iterable[Batch]:
    """Those from `next_` on, without gaps: what was deleted from the log leaves holes."""
    for batch in batches:
        if batch.base > next_:
            yield from holes(next_, batch.base)
        if batch.base >= next_:
            yield batch
            next_ = batch.next
