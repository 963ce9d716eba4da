"""Keeping account of records that were sent: each must end in a dead letter, or in an end of what it is about."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from events.dead_letters import DeadLetter
from events.envelope import decode
from events.errors import InvalidEvent
from events.topics import Topic
from events.vocabulary import identify
from infra.kafka.connection import client_settings
from infra.settings import Settings

from .odd_events import Odd

Place = tuple[str, int, int]

#: Outcome → the room of its ids: a job and a dataset may bear the same.
_ENDS = {
    "ml.job.completed": "job",
    "ml.job.failed": "job",
    "ml.job.cancelled": "job",
    "ml.job.cancellation-refused": "job",
    "ml.dataset.registered": "dataset",
    "ml.dataset.rejected": "dataset",
}


class Accounts:
    """What was sent and is still open, and how what is closed has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.closed: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._open: dict[Place, tuple[Odd, tuple[str, str] | None]] = {}
        self.letters: set[Place] = set()
        self._ends: dict[tuple[str, str], str] = {}
        self._waiting: dict[tuple[str, str], list[Place]] = {}
        self._news = asyncio.Event()
        self._listening: asyncio.Task[None]

    def sent(self, odd: Odd, delivered: Any) -> None:
        """Opens an account, which may be closed already: the answer can be quicker than the receipt."""
        place = (delivered.topic, delivered.partition, delivered.offset)
        about = _about(odd)
        self._open[place] = odd, about
        if place in self.letters:
            self._close(place, "dead letter")
        elif about in self._ends:
            self._close(place, self._ends[about])
        elif about is not None:
            self._waiting.setdefault(about, []).append(place)

    async def settled(self, seconds: float) -> None:
        """Returns when no account is open, but for cancellations of jobs that nobody knows: those leave an intent.

        Raises:
            AssertionError: naming the first accounts that stay open.
        """
        try:
            async with asyncio.timeout(seconds):
                while not all(map(self._leaves_an_intent, self._open)):
                    self._news.clear()
                    await self._news.wait()
                    if self._listening.done():
                        self._listening.result()  # an outcome that cannot be read is no outcome
        except TimeoutError:
            left = [(place, *what) for place, what in self._open.items() if not self._leaves_an_intent(place)]
            shown = "\n".join(f"{place} {odd.how}: {about} {odd.value!r:.300}" for place, odd, about in left[:10])
            raise AssertionError(f"{len(left)} records have no end:\n{shown}") from None

    def kept(self) -> set[str]:
        """The jobs that nobody knows and somebody wants to cancel."""
        return {about[1] for _, about in self._open.values() if about is not None}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Accounts"]:
        ears = AIOKafkaConsumer(
            Topic.JOBS,
            Topic.DATASETS,
            Topic.DEAD_LETTERS,
            **client_settings(self._settings),
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        await ears.start()
        self._listening = listening = asyncio.create_task(self._listen(ears))
        listening.add_done_callback(lambda _: self._news.set())
        try:
            yield self
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await ears.stop()

    async def _listen(self, ears: AIOKafkaConsumer) -> None:
        while True:
            for records in (await ears.getmany(timeout_ms=500)).values():
                for record in records:
                    self._hear(record)
            self._news.set()

    def _hear(self, record: Any) -> None:
        if record.topic == Topic.DEAD_LETTERS:
            letter = DeadLetter.from_record(record.key, record.value, record.headers)
            place = (letter.topic, letter.partition, letter.offset)
            self.letters.add(place)
            self.reasons[letter.reason] += 1
            self._close(place, "dead letter")
            return
        event = decode(record.value, record.headers)
        if event.name in _ENDS:
            about = (_ENDS[event.name], str(event.subject))
            self._ends.setdefault(about, event.name)
            if event.name == "ml.job.failed":
                self.reasons[event.data["error"]["reason"]] += 1
            for place in self._waiting.pop(about, ()):
                self._close(place, event.name)

    def _close(self, place: Place, how: str) -> None:
        if self._open.pop(place, None) is not None:
            self.closed[how] += 1

    def _leaves_an_intent(self, place: Place) -> bool:
        _, about = self._open[place]
        return place[0] == Topic.CANCELLATION and about is not None


def _about(odd: Odd) -> tuple[str, str] | None:
    """What the record is about, if that can be told. Whether it has ended is heard, never reckoned."""
    try:
        key = identify(odd.topic, odd.key, odd.value, odd.headers).key
    except InvalidEvent:
        return None
    return ("dataset" if odd.topic == Topic.DATASETS_UPLOADED else "job"), key
