"""A job's time limit: first a word to the handler, then the end of its process."""

import asyncio

from infra.execution.executor import Run

#: How long a handler may take to finish with what it has.
GRACE_S = 20.0


class Deadline:
    """Watches one run while the context is open. `passed` tells whether the limit was reached."""

    def __init__(self, run: Run, seconds: float | None, grace: float | None = None) -> None:
        self._run = run
        self._seconds = seconds
        self._grace = GRACE_S if grace is None else grace
        self._task: asyncio.Task[None] | None = None
        self.passed = False

    async def __aenter__(self) -> "Deadline":
        if self._seconds is not None:
            self._task = asyncio.create_task(self._watch(self._seconds))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.passed = True
        self._run.stop_softly()
        await asyncio.sleep(self._grace)
        await self._run.kill()
