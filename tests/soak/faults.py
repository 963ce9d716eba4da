"""The faults: each at a random moment, on a random victim, both drawn from the seed."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from . import processes
from .diary import Fault, Kind
from .ledger import boottime
from .plan import Plan
from .seat import Seat
from .stage import Stage

#: How long a fault waits for somebody whom it can hit.
_PATIENCE_S = 60.0
_SHORT_OUTAGE_S = 3.0
#: How long a worker is frozen, in sessions: from just past the first one on.
FROZEN_SESSIONS = (1.4, 2.2)
_GUEST_STAYS_S = (4.0, 12.0)


def schedule(plan: Plan) -> list[tuple[float, Kind]]:
    """When what happens, in seconds after the traffic begins: spread over it, in random order."""
    rng = random.Random(plan.seed)
    kinds = [kind for kind, times in plan.faults.items() for _ in range(times)]
    rng.shuffle(kinds)
    share = plan.traffic_s / len(kinds)
    return [(share * (number + rng.random()), kind) for number, kind in enumerate(kinds)]


class Faults:
    """Does what the schedule says. Faults overlap, but there is one broker to kill, and it is killed once at a time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rng = random.Random(stage.plan.seed + 1)
        self._broker = asyncio.Lock()
        self._guests = 0
        self._act = {
            Kind.KILL_WORKER: self._kill_worker,
            Kind.KILL_JOB: self._kill_job,
            Kind.KILL_WARM_SERVER: self._kill_warm_server,
            Kind.KILL_PROJECTOR: self._kill_projector,
            Kind.HAND_OVER: self._hand_over,
            Kind.JOIN_AND_LEAVE: self._join_and_leave,
            Kind.FREEZE: self._freeze,
            Kind.SHORT_OUTAGE: self._outage,
            Kind.LONG_OUTAGE: self._outage,
        }

    async def happen(self) -> None:
        """Returns when all of them are over and every seat is taken again."""
        begun = monotonic()
        under_way = []
        for at_s, kind in schedule(self._stage.plan):
            await asyncio.sleep(max(0.0, begun + at_s - monotonic()))
            under_way.append(asyncio.create_task(self._one(kind)))
        await asyncio.gather(*under_way)
        await asyncio.gather(*(seat.ready() for seat in (*self._stage.workers, self._stage.projector)))

    async def _one(self, kind: Kind) -> None:
        fault = Fault(kind, boottime())
        try:
            await self._act[kind](fault)
        except (LookupError, ProcessLookupError) as nobody:
            fault.missed = str(nobody) or "it had just ended"
        fault.ended = boottime()
        print(f"soak: {fault}", flush=True)
        self._stage.diary.faults.append(fault)

    async def _kill_worker(self, fault: Fault) -> None:
        seat = await self._worker(lambda pid: bool(self._jobs(pid)))
        fault.begun = boottime()
        fault.pid = seat.end(signal.SIGKILL, next_after_s=self._rng.uniform(0.5, 12))

    async def _hand_over(self, fault: Fault) -> None:
        seat = await self._worker(lambda pid: bool(self._jobs(pid)))
        fault.begun = boottime()
        fault.pid = seat.end(signal.SIGTERM, next_after_s=self._rng.uniform(0, 3))
        await seat.gone(fault.pid)

    async def _kill_job(self, fault: Fault) -> None:
        """The job's own process, or the guard above it."""
        while True:
            seat = await self._worker(lambda pid: bool(self._jobs(pid)))
            with suppress(ProcessLookupError, IndexError):  # many live shorter than it takes to find them
                victim = self._rng.choice(self._jobs(seat.pid))
                fault.pid = self._rng.choice((victim.pid, victim.pid, victim.guard))
                fault.job, fault.begun = victim.job, boottime()
                return os.kill(fault.pid, signal.SIGKILL)

    async def _kill_warm_server(self, fault: Fault) -> None:
        seat = await self._worker(lambda pid: processes.warm_server_of(pid) is not None)
        server = processes.warm_server_of(seat.pid or 0)
        if server is None:
            raise LookupError("it had just ended")
        fault.pid, fault.begun = server, boottime()
        os.kill(server, signal.SIGKILL)

    async def _kill_projector(self, fault: Fault) -> None:
        await self._stage.projector.ready()
        fault.begun = boottime()
        fault.pid = self._stage.projector.end(signal.SIGKILL, next_after_s=self._rng.uniform(0.2, 5))

    async def _join_and_leave(self, fault: Fault) -> None:
        self._guests += 1
        guest = self._stage.worker(f"guest-{self._guests}")
        guest.open()
        try:
            await guest.ready()
            fault.pid = guest.pid or 0
            await asyncio.sleep(self._rng.uniform(*_GUEST_STAYS_S))
        finally:
            await guest.close()

    async def _freeze(self, fault: Fault) -> None:
        """The worker alone, whose jobs run on, or everything below it as well, as when a machine is suspended.

        One that is killed while it is frozen never comes back to do harm: then it is another one's turn.
        """
        while not await self._frozen_and_thawed(fault):
            continue

    async def _frozen_and_thawed(self, fault: Fault) -> bool:
        seat = await self._worker(lambda pid: bool(self._jobs(pid)))
        fault.pid = seat.pid or 0
        frozen = self._rng.choice(([fault.pid], processes.family(fault.pid)))
        fault.begun = boottime()
        _signal_all(frozen, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._stage.plan.session_s * self._rng.uniform(*FROZEN_SESSIONS))
        finally:
            _signal_all(frozen, signal.SIGCONT)
        return seat.pid == fault.pid

    async def _outage(self, fault: Fault) -> None:
        away_s = _SHORT_OUTAGE_S if fault.kind is Kind.SHORT_OUTAGE else self._stage.plan.long_outage_s
        async with self._broker:
            fault.begun = boottime()
            await self._stage.kafka.kill()
            await asyncio.sleep(away_s)
            await self._stage.kafka.start()

    async def _worker(self, suits: Callable[[int], bool]) -> Seat:
        """A random worker that serves and suits, waited for.

        Raises:
            LookupError: there is none for a while.
        """
        deadline = monotonic() + _PATIENCE_S
        while monotonic() < deadline:
            seats = [seat for seat in self._stage.workers if seat.is_ready and suits(seat.pid or 0)]
            if seats:
                return self._rng.choice(seats)
            await asyncio.sleep(0.1)
        raise LookupError("no worker had what was to be hit")

    def _jobs(self, worker: int | None) -> list[processes.JobProcess]:
        return processes.jobs_of(worker or 0, self._stage.settings.work_dir)


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
