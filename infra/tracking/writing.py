"""Writing to MLflow from an event loop: one call at a time, only while this process leads, for as long as it takes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

from infra.kafka.membership import Membership
from infra.kafka.outage import Outage

T = TypeVar("T")

#: What a store that takes other things may refuse before it is left out: three times where MLflow says itself that
#: the thing is wrong, else for so long. A part of it may be away, as a server's files while its database answers.
_TRIES = 3
_PATIENCE_S = 300.0
_WRONG = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST"})


class Moved(Exception):
    """Somebody else may lead by now: what was begun is theirs to do again."""


class Refused(Exception):
    """The store is there and takes other things, but not this one."""


class Writer:
    """A thread for MLflow, which knows no event loop, and the fence around it.

    MLflow can neither compare and set nor fence a writer. So a call begins only while the group has confirmed us
    lately, and a change of leadership waits for the end of the call that is under way (`hand_over`).
    """

    def __init__(self, session_s: float, *, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._membership = Membership(session_s)
        self._away = Outage("MLflow")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlflow")
        self._writing = asyncio.Lock()
        self._term = 0
        self._begun_in = 0
        self.calls = 0

    @property
    def is_waiting(self) -> bool:
        """Whether MLflow is away."""
        return self._away.lasts

    def confirm(self) -> None:
        """The group has just answered."""
        self._membership.confirm()

    async def hand_over(self) -> None:
        """Ends this term: returns when no call is under way; none begins before `begin_term`."""
        self._term += 1
        async with self._writing:
            pass

    def begin_term(self) -> None:
        self._begun_in = self._term

    async def call(self, function: Callable[[], T]) -> T:
        """Runs `function` in the thread.

        Raises:
            Moved: this process does not lead any more.
        """
        while True:
            # Waited for outside of the lock, which a change of leadership takes: it may be what ends the doubt.
            await self._membership.held()
            async with self._writing:
                if self._begun_in != self._term:
                    raise Moved
                if self._membership.in_doubt:
                    continue
                self.calls += 1
                return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def patiently(self, function: Callable[[], T], *, unless: tuple[type[Exception], ...] = ()) -> T:
        """Waits out a store that is away.

        Raises:
            Moved: this process does not lead any more.
        """
        return await self._away.wait_out(lambda: self.call(function), unless=(Moved, *unless))

    async def write(
        self, function: Callable[[], T], *, probe: Callable[[], None], unless: tuple[type[Exception], ...] = ()
    ) -> T:
        """Waits out a store that is away, but not an event that it never takes.

        Args:
            probe: writes something harmless: where that works, the store is not away.

        Raises:
            Moved: this process does not lead any more.
            Refused: the store took the probe and not this, whatever the patience.
        """
        refusals, since = 0, monotonic()
        known: tuple[type[Exception], ...] = (Moved, *unless)

        async def attempt() -> T:
            nonlocal refusals
            try:
                return await self.call(function)
            except known:
                raise
            except Exception as error:
                await self.call(probe)
                refusals += 1
                is_wrong = getattr(error, "error_code", None) in _WRONG
                if refusals >= _TRIES and (is_wrong or monotonic() - since >= self._patience_s):
                    raise Refused from error
                raise

        return await self._away.wait_out(attempt, unless=(Refused, *known))

    async def close(self) -> None:
        """Returns when the call under way has ended, which its own time limits bound."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
