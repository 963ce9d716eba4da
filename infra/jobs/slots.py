"""How many jobs a worker runs at a time. Light kinds have a slot of their own and never wait behind a training."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """First come, first served, within each of the two queues."""

    def __init__(self, training: int, light: int = 1) -> None:
        self._training = asyncio.Semaphore(training)
        self._light = asyncio.Semaphore(light)
        self._closed = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def one(self, *, light: bool) -> AsyncIterator[None]:
        """A slot, held while the context is open."""
        async with self._light if light else self._training:
            if self._closed:
                # Nothing starts any more: whoever still waits will be cancelled and its delivery comes again.
                await asyncio.get_running_loop().create_future()
            self._busy += 1
            self._idle.clear()
            try:
                yield
            finally:
                self._busy -= 1
                if self._busy == 0:
                    self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Gives out no more slots and waits for those that are held; whether all came back in time."""
        self._closed = True
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True
