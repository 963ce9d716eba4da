"""The diary: what was done to the house and when, written by whoever did it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is done to the house. The value is what the report calls it."""

    KILL_WORKER = "kill -9 of a worker"
    KILL_JOB = "kill -9 of a job's process"
    KILL_WARM_SERVER = "kill -9 of a warm server"
    KILL_PROJECTOR = "kill -9 of the projector"
    HAND_OVER = "SIGTERM of a worker, a new one after it"
    JOIN_AND_LEAVE = "a fourth worker joins and leaves"
    FREEZE = "SIGSTOP of a worker past its session"
    SHORT_OUTAGE = "kill -9 of the broker, back after 3 s"
    LONG_OUTAGE = "kill -9 of the broker, back much later"


@dataclass(slots=True)
class Fault:
    """One fault. `begun` and `ended` are CLOCK_BOOTTIME; `pid` is whom it hit, 0 for the broker.

    `job`: whose process was killed, where one was. `missed` says why nobody was hit.
    """

    kind: Kind
    begun: float
    ended: float = 0.0
    pid: int = 0
    job: str = ""
    missed: str = ""

    def __str__(self) -> str:
        whom = f" pid {self.pid}" * bool(self.pid) + f" of {self.job}" * bool(self.job)
        how_long = f" for {self.ended - self.begun:.1f} s" * (self.ended - self.begun > 0.1)
        return f"{self.kind.value}{whom}{how_long}" + (f": nobody, {self.missed}" if self.missed else "")

    def touches(self, begun: float, ended: float) -> bool:
        """Whether some of it lies between the two moments."""
        return self.begun <= ended and (self.ended or self.begun) >= begun


@dataclass(slots=True)
class End:
    """A service's process ended. `asked`: by us, in whatever way; `served`: it had said that it was ready."""

    seat: str
    pid: int
    code: int
    at: float
    asked: bool
    served: bool = True


@dataclass(slots=True)
class Diary:
    faults: list[Fault] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    def hits(self, *kinds: Kind) -> Iterator[Fault]:
        """The faults of these kinds that hit somebody."""
        return (fault for fault in self.faults if fault.kind in kinds and not fault.missed)

    def pids(self, *kinds: Kind) -> set[int]:
        return {fault.pid for fault in self.hits(*kinds)}

    def disturbed(self, begun: float, ended: float, except_for: Iterable[Fault] = ()) -> bool:
        """Whether anything else was done to workers or broker between the two moments."""
        spared = {id(fault) for fault in except_for}
        harmless = (Kind.KILL_JOB, Kind.KILL_PROJECTOR)
        return any(
            fault.touches(begun, ended)
            for fault in self.faults
            if id(fault) not in spared and fault.kind not in harmless and not fault.missed
        )
