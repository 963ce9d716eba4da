"""How long a job waits whose worker was killed: from the kill to its next run."""

from collections.abc import Sequence
from dataclasses import dataclass

from .diary import Fault, Kind
from .evidence import Evidence
from .ledger import Run

#: A run that was alive at the kill was seen at most this long before it.
_SEEN_S = 0.5


@dataclass(frozen=True, slots=True)
class Recovery:
    """`disturbed`: another fault came between the kill and the new start."""

    job: str
    seconds: float
    disturbed: bool


def recoveries(evidence: Evidence) -> list[Recovery]:
    """Of every job that was running on a killed worker and ran again."""
    return [
        Recovery(run.job, again.begun - kill.begun, evidence.diary.disturbed(kill.begun, again.begun, [kill]))
        for kill in evidence.diary.hits(Kind.KILL_WORKER)
        for run in evidence.runs
        if _was_cut(evidence, run, kill) and (again := _next(evidence, run)) is not None
    ]


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that `share` of all do not exceed; None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _was_cut(evidence: Evidence, run: Run, kill: Fault) -> bool:
    attempt = evidence.attempt_of(run)
    on_it = attempt is not None and attempt.worker == kill.pid
    return on_it and not run.came_to_end and run.last_seen > kill.begun - _SEEN_S


def _next(evidence: Evidence, run: Run) -> Run | None:
    return next((later for later in evidence.runs_of[run.job] if later.begun > run.last_seen), None)
