"""A job's way of being heard: often enough to be followed, seldom enough not to flood the log.

At most four events a second; the first and the last always; a word every 15 s even if nothing changed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from events.outcomes import JobProgressed, Reached

SHORTEST_PAUSE_S = 0.25
LONGEST_SILENCE_S = 15.0
LAST_WORD_S = 1.0

Publish = Callable[[JobProgressed], Awaitable[None]]


class ProgressTeller:
    """Tells one attempt's progress. `update` never waits; publishing happens in a task of its own.

    While the broker is away the newest word replaces the ones before it, so nothing piles up.
    Use it as an async context manager; leaving it tells the last word.
    """

    def __init__(
        self,
        job_id: str,
        kind: str,
        attempt: int,
        publish: Publish,
        *,
        pause: float = SHORTEST_PAUSE_S,
        silence: float = LONGEST_SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = {"job_id": job_id, "kind": kind, "attempt": attempt}
        self._publish = publish
        self._pause = pause
        self._silence = silence
        self._clock = clock
        self._began = clock()
        self._seq = 0
        self._news = asyncio.Event()
        self._latest: tuple[float, str, float | None, dict[str, float]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ProgressTeller":
        self._task = asyncio.create_task(self._tell_on(), name=f"progress of {self._fixed['job_id']}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if kind is None and self._news.is_set():
            with suppress(TimeoutError):  # the end itself must not wait for the word before it
                async with asyncio.timeout(LAST_WORD_S):
                    await self._tell()

    def update(
        self, percent: float, message: str, eta_s: float | None = None, metrics: dict[str, float] | None = None
    ) -> None:
        """The newest word. Without `eta_s` the time left is reckoned from the percentage so far."""
        known = dict(self._latest[3]) if self._latest else {}
        self._latest = (percent, message, self._eta(percent) if eta_s is None else eta_s, known | (metrics or {}))
        self._news.set()

    @property
    def reached(self) -> Reached | None:
        """The last word so far, as the job's end would tell it."""
        if self._latest is None:
            return None
        percent, message, _, metrics = self._latest
        return Reached(percent=percent, message=message, metrics=metrics)

    async def _tell_on(self) -> None:
        while True:
            # Not wait_for: on Python 3.11 it can swallow the cancellation that ends this task.
            with suppress(TimeoutError):  # silence is itself a reason to speak: the job is alive
                async with asyncio.timeout(self._silence):
                    await self._news.wait()
            await self._tell()
            await asyncio.sleep(self._pause)

    async def _tell(self) -> None:
        self._news.clear()
        if self._latest is None:
            return
        percent, message, eta_s, metrics = self._latest
        word = JobProgressed(
            **self._fixed, seq=self._seq, percent=percent, message=message, eta_s=eta_s, metrics=metrics
        )
        self._seq += 1
        await self._publish(word)

    def _eta(self, percent: float) -> float | None:
        if not 5 <= percent < 100:
            return None
        return round((self._clock() - self._began) * (100 - percent) / percent, 1)
