"""Waiting out an outage: try again with growing pauses, and say so once when it begins and once when it ends."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Outage:
    """What may be away for a while, and whether it is now.

    Args:
        what: names it in the log.
        longest_s: the longest pause between two tries.
    """

    def __init__(self, what: str, *, longest_s: float = 5.0, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep):
        self._what = what
        self._longest_s = longest_s
        self._sleep = sleep
        self._since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether it was away at the last try."""
        return self._since is not None

    async def wait_out(
        self, attempt: Callable[[], Awaitable[T]], *, unless: type[Exception] | tuple[type[Exception], ...] = ()
    ) -> T:
        """Calls `attempt` until it succeeds, is cancelled, or raises one of `unless`."""
        pause = 0.05
        while True:
            try:
                result = await attempt()
            except unless:
                self._is_over()
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, a reader that gives up is worse than one that waits
                self._has_begun(error)
            else:
                self._is_over()
                return result
            await self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, self._longest_s)

    def _has_begun(self, error: Exception) -> None:
        if self._since is None:
            self._since = monotonic()
            log.warning("waiting_out", what=self._what, error=f"{type(error).__name__}: {error}"[:500])

    def _is_over(self) -> None:
        if self._since is not None:
            log.info("going_on", what=self._what, after_s=round(monotonic() - self._since, 1))
            self._since = None
