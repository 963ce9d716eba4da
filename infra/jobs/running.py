"""The jobs in hand on this worker, so that one can be stopped from outside, wherever it is on its way."""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from events.vocabulary import Identified

from . import arbiter
from .arbiter import Outcome
from .damage import StoreDamaged
from .ports import Store

#: Requests to stop that are remembered for jobs which are just on their way here.
_REMEMBERED = 10_000
#: Seconds between two looks whether a job in hand has been ended somewhere else.
_LOOK_S = 15.0
#: …and while ends from elsewhere are expected, for so long.
_LOOK_SOON_S, _EXPECTED_S = 1.0, 15.0


class Stopped(Exception):
    """The job in hand is to end. `why`: the request to stop it, or the end that it has already."""

    def __init__(self, why: Identified | Outcome) -> None:
        super().__init__("the job is to end")
        self.why = why


class Running:
    """Who is in hand. All methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._limits: dict[str, asyncio.Timeout] = {}
        #: Why those are to end whose limit has been set.
        self._why: dict[asyncio.Timeout, Identified | Outcome] = {}
        self._told: OrderedDict[str, Identified | Outcome] = OrderedDict()
        self._expected_until = 0.0
        self._expected = asyncio.Event()

    @asynccontextmanager
    async def in_hand(self, job_id: str) -> AsyncIterator[None]:
        """Within the context the job can be stopped; also by who asked a moment before.

        Raises:
            Stopped: somebody did.
        """
        try:
            async with asyncio.timeout(None) as limit:
                self._limits[job_id] = limit
                if job_id in self._told:
                    self._end(limit, self._told[job_id])
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise Stopped(self._why[limit]) from None
        finally:
            self._why.pop(limit, None)
            if self._limits.get(job_id) is limit:
                del self._limits[job_id]

    def stop(self, job_id: str, why: Identified | Outcome) -> bool:
        """Stops the job, or will when it comes into hand; whether it is in hand now."""
        self._told.setdefault(job_id, why)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        limit = self._limits.get(job_id)
        if limit is not None and limit not in self._why:
            self._end(limit, why)
        return limit is not None

    def _end(self, limit: asyncio.Timeout, why: Identified | Outcome) -> None:
        self._why[limit] = why
        limit.reschedule(asyncio.get_running_loop().time())

    def expect_ends(self) -> None:
        """Jobs in hand may be ended elsewhere any moment, by somebody who does not know who has them."""
        self._expected_until = time.monotonic() + _EXPECTED_S
        self._expected.set()

    async def stop_what_has_ended(self, store: Store) -> None:
        """For ever: looks now and then whether a job in hand was ended elsewhere, for who missed the word of it."""
        while True:
            await self._until_next_look()
            for job_id in list(self._limits):
                with suppress(StoreDamaged):  # said when the job comes to its end
                    if (outcome := await arbiter.find(store, job_id)) is not None:
                        self.stop(job_id, outcome)

    async def _until_next_look(self) -> None:
        if time.monotonic() < self._expected_until:
            await asyncio.sleep(_LOOK_SOON_S)
            return
        self._expected.clear()
        with suppress(TimeoutError):
            pause = _LOOK_S * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
            await asyncio.wait_for(self._expected.wait(), pause)
