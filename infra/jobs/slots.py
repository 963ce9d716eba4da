"""How many jobs a worker runs at a time. Light kinds have a slot of their own and never wait behind a training."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


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
            with self.busy():
                yield

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Work that a drain waits for, with or without a slot: an end that is decided is also told."""
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if self._busy == 0:
                self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Gives out no more slots and waits until nobody is busy; whether that came in time."""
        self._closed = True
        try:
            async with asyncio.timeout(seconds):
                while self._busy:
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True
