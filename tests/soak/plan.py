"""How large a soak is: everything that differs between the long form and the short one."""

from collections.abc import Callable
from dataclasses import dataclass

from .diary import Kind


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` are published over `traffic_s` seconds while `faults` happen, each that many times."""

    jobs: int
    seed: int
    traffic_s: float
    faults: dict[Kind, int]
    #: How long the broker is away, once.
    long_outage_s: float
    session_s: float = 6.0
    workers: int = 3
    slots: int = 3
    #: Nothing heard for so long after the last fault: what has not ended by then will not end.
    quiet_s: float = 60.0


Form = Callable[[int, int], Plan]


def short(jobs: int, seed: int) -> Plan:
    """Every fault once, within a minute."""
    return Plan(jobs, seed, traffic_s=36.0, faults=dict.fromkeys(Kind, 1), long_outage_s=20.0)


def long(jobs: int, seed: int) -> Plan:
    """About two jobs a second, a fault every ten seconds."""
    seconds = jobs / 2.2
    faults = {kind: max(1, round(seconds * share / 10)) for kind, share in _SHARES.items()}
    return Plan(jobs, seed, traffic_s=seconds, faults=faults | {Kind.LONG_OUTAGE: 1}, long_outage_s=60.0)


_SHARES = {
    Kind.KILL_WORKER: 0.24,
    Kind.KILL_JOB: 0.18,
    Kind.KILL_WARM_SERVER: 0.12,
    Kind.KILL_PROJECTOR: 0.10,
    Kind.HAND_OVER: 0.12,
    Kind.JOIN_AND_LEAVE: 0.08,
    Kind.FREEZE: 0.10,
    Kind.SHORT_OUTAGE: 0.06,
}
