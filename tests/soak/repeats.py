"""Checks of runs: what ran again, for what reason, and whether two ran at once. The ledger is the witness."""

from collections.abc import Iterator
from itertools import combinations, pairwise

from .diary import Kind
from .evidence import Evidence
from .ledger import Run

#: A file's time is that of the kernel's last tick before it was written.
_CLOCK_S = 0.01


def after_the_outcome(evidence: Evidence) -> Iterator[str]:
    """Runs that began when outcome.json was there already."""
    for run in evidence.runs:
        stored = evidence.stored(run.job)
        late_s = run.begun_wall - stored.decided_at
        if stored.outcome is not None and late_s > _CLOCK_S:
            yield f"{run.job}: attempt {run.attempt} began {late_s:.3f} s after it"


def before_the_outcome(evidence: Evidence) -> list[tuple[Run, str]]:
    """Every further run of a job, with the reason for it; without one it is empty."""
    found = []
    for runs in evidence.runs_of.values():
        for earlier, later in pairwise(runs):
            found.append((later, _why_again(evidence, earlier, later)))
    return found


def without_reason(evidence: Evidence) -> Iterator[str]:
    """Runs that were repeated though nothing was done to the worker of the one before."""
    for run, why in before_the_outcome(evidence):
        if not why:
            yield f"{run.job}: attempt {run.attempt}"


def _why_again(evidence: Evidence, earlier: Run, later: Run) -> str:
    attempt = evidence.attempt_of(earlier)
    if attempt is None:
        return ""
    if attempt.worker in evidence.diary.pids(Kind.KILL_WORKER):
        return "killed"
    if frozen_during(evidence, earlier, later.begun):
        return "frozen"
    return "handed over" if attempt.released else ""


def frozen_during(evidence: Evidence, run: Run, until: float) -> bool:
    """Whether the run's worker was frozen between its beginning and `until`."""
    attempt = evidence.attempt_of(run)
    return attempt is not None and any(
        fault.pid == attempt.worker and fault.touches(run.begun, until) for fault in evidence.diary.hits(Kind.FREEZE)
    )


def overlaps(evidence: Evidence) -> list[tuple[Run, Run]]:
    """Pairs of runs of one job that were there at the same time, the earlier one first."""
    return [
        (earlier, later)
        for runs in evidence.runs_of.values()
        for earlier, later in combinations(runs, 2)
        if later.begun < earlier.last_seen
    ]


def forbidden_overlaps(evidence: Evidence) -> Iterator[str]:
    """Two at once, neither of them a frozen zombie."""
    for earlier, later in overlaps(evidence):
        if not (_is_zombie(evidence, earlier) or _is_zombie(evidence, later)):
            seconds = min(earlier.last_seen, later.last_seen) - later.begun
            yield f"{later.job}: attempts {earlier.attempt} and {later.attempt}, for {seconds:.2f} s"


def results_of_zombies(evidence: Evidence) -> Iterator[str]:
    """The end that counts is that of a worker that was frozen, decided while another ran the job in its place.

    One that got the partition back from that other may end the job: it is no zombie any more.
    """
    for earlier, later in overlaps(evidence):
        for run, other in ((earlier, later), (later, earlier)):
            stored = evidence.stored(run.job)
            counts = stored.outcome is not None and stored.outcome["attempt"] == run.attempt
            if counts and _is_zombie(evidence, run) and other.last_seen_wall > stored.decided_at:
                yield f"{run.job}: attempt {run.attempt}"


def _is_zombie(evidence: Evidence, run: Run) -> bool:
    return frozen_during(evidence, run, run.last_seen)


def untold(evidence: Evidence) -> Iterator[str]:
    """Runs that no start event tells of."""
    told = {(heard.subject, heard.data.get("attempt")) for starts in evidence.starts.values() for heard in starts}
    for run in evidence.runs:
        if (run.job, run.attempt) not in told:
            yield f"{run.job}: attempt {run.attempt}"


def never_run(evidence: Evidence) -> Iterator[str]:
    """Completed, though the ledger knows of no run of that attempt that came to its end."""
    came_to_end = {(run.job, run.attempt) for run in evidence.runs if run.came_to_end}
    for job, ends in evidence.ends.items():
        for end in ends:
            if end.end == "completed" and (job, end.data["attempt"]) not in came_to_end:
                yield f"{job}: attempt {end.data['attempt']}"
