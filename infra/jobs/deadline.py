"""A job's time limit: first a word to the handler, then the end of its process."""

import asyncio

from events.requests import AutomlRequested, EnsembleRequested, ExplanationRequested, JobRequested, NoopRequested
from infra.execution.executor import Run

#: How long a handler may take to finish with what it has.
GRACE_S = 20.0

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S


def seconds_for(request: JobRequested) -> float:
    """How long an attempt may run, in seconds: as the request says, else what no sound job of its kind exceeds.

    AutoML's own `time_limit` bounds the fit alone; reading, evaluating and packing come on top.
    """
    if request.timeout_s is not None:
        return float(request.timeout_s)
    match request:
        case AutomlRequested(rerun_of=None, time_limit=time_limit):
            return 3.0 * time_limit + _HOUR_S
        case NoopRequested(duration_s=duration):
            return duration + _HOUR_S
        case EnsembleRequested() | ExplanationRequested():
            return 6 * _HOUR_S
        case _:
            return 2 * _DAY_S


class Deadline:
    """Watches one run while the context is open. `passed` tells whether the limit was reached."""

    def __init__(self, run: Run, seconds: float, grace: float | None = None) -> None:
        self._run = run
        self._seconds = seconds
        self._grace = GRACE_S if grace is None else grace
        self._task: asyncio.Task[None] | None = None
        self.passed = False

    async def __aenter__(self) -> "Deadline":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        await asyncio.sleep(self._seconds)
        self.passed = True
        self._run.stop_softly()
        await asyncio.sleep(self._grace)
        await self._run.kill()
