"""Checks of everything else: the log kept what it took, the dead letters are the right ones, nothing is left."""

from collections import Counter
from collections.abc import Iterator

from .diary import End, Kind
from .evidence import Evidence, Heard
from .wishes import Wish

#: How long before its end an outage may have begun to spoil the start of a service.
_START_S = 40.0
_REUSED = "job_id_reused"


def forgotten(evidence: Evidence) -> Iterator[str]:
    """What the broker acknowledged and the log does not hold, or holds twice."""
    held = Counter((heard.topic, heard.key, heard.value) for heard in evidence.log)
    for wish in evidence.wishes:
        times = held[wish.topic, wish.key, wish.value]
        if times != 1:
            yield f"{wish.recipe} {wish.subject}: {times} times in the log"


def wrong_letters(evidence: Evidence) -> Iterator[str]:
    """Records that were put aside and should not, or the other way round, or for another reason."""
    at = {heard.place: heard for heard in evidence.log}
    dead = {(wish.topic, wish.key, wish.value): wish for wish in evidence.wishes if wish.is_dead}
    expected = Counter(
        _named(heard, _reason(dead[heard.topic, heard.key, heard.value]))
        for heard in at.values()
        if (heard.topic, heard.key, heard.value) in dead
    )
    found = Counter(_named(at[letter.place], letter.reason) for letter in set(evidence.letters))
    yield from (f"not put aside: {what}" for what in (expected - found).elements())
    yield from (f"put aside: {what}" for what in (found - expected).elements())


def _named(heard: Heard, reason: str) -> str:
    """Of two requests under one id either may be the job: they are known by that id, all others by their place."""
    return f"{heard.subject if reason == _REUSED else heard.place}, {reason}"


def _reason(wish: Wish) -> str:
    (end,) = wish.ends
    return end.removeprefix("dead:")


def left_over(evidence: Evidence) -> Iterator[str]:
    """Processes that outlived their job, or the house."""
    yield from (f"in a job's folder: {process}" for process in evidence.left_in_jobs)
    yield from (f"when all was stopped: {process}" for process in evidence.left_over)


def untried(evidence: Evidence) -> Iterator[str]:
    """Faults that hit nobody: what was not tried is not shown."""
    for kind in Kind:
        hits = list(evidence.diary.hits(kind))
        if not hits:
            yield kind.value
        if kind is Kind.FREEZE and hits and all(f.ended - f.begun <= evidence.session_s for f in hits):
            yield f"{kind.value}: shorter than the session"


def died(evidence: Evidence) -> Iterator[str]:
    """Services that ended though nobody wanted them to, or not as they should when asked to stop."""
    killed = evidence.diary.pids(Kind.KILL_WORKER, Kind.KILL_PROJECTOR)
    for end in evidence.diary.ends:
        if not end.served and _without_broker(evidence, end):
            continue  # it said that there is no broker; whoever supervises it tries again
        if not end.asked:
            yield f"{end.seat} (pid {end.pid}) ended with exit code {end.code}"
        elif end.code != 0 and end.pid not in killed:
            yield f"{end.seat} (pid {end.pid}) was asked to stop and ended with exit code {end.code}"


def _without_broker(evidence: Evidence, end: End) -> bool:
    outages = evidence.diary.hits(Kind.SHORT_OUTAGE, Kind.LONG_OUTAGE)
    return any(outage.touches(end.at - _START_S, end.at) for outage in outages)


def not_rebuilt(evidence: Evidence) -> Iterator[str]:
    """What `rebuild` made of the log is not what stood in the tables."""
    told = evidence.rebuild
    if told is None or told["identical"]:
        return
    yield from (str(table) for table in told.get("tables", ()) if not table["identical"])
    if "complaint" in told:
        yield told["complaint"][-500:]
