"""What a person reads at the end: figures, and for every broken promise what broke it."""

from collections import Counter
from collections.abc import Iterable, Iterator

from . import ends, repeats
from .diary import Kind
from .evidence import Evidence
from .plan import Plan
from .recovery import quantile, recoveries
from .verdict import Verdict

_SHOWN = 8


def written(plan: Plan, evidence: Evidence, verdict: Verdict) -> str:
    parts = (_head(plan, evidence), _jobs(evidence), _faults(evidence), _runs(evidence), _promises(verdict))
    return "\n".join(line for part in parts for line in part)


def _head(plan: Plan, evidence: Evidence) -> Iterator[str]:
    yield ""
    yield (
        f"Soak on Apache Kafka: {plan.jobs} jobs, seed {plan.seed}, {plan.workers} workers with {plan.slots} slots, "
        f"session {plan.session_s:g} s, {evidence.seconds:.0f} s"
    )


def _jobs(evidence: Evidence) -> Iterator[str]:
    statuses = Counter(told[0].name.rpartition(".")[2] for told in evidence.ends.values())
    yield _row("published jobs", len(evidence.asked))
    for status in ("completed", "failed", "cancelled"):
        yield _row(f"  {status}", statuses[status])
    reasons = Counter(told[0].end.partition(":")[2] for told in evidence.ends.values())
    reasons.pop("", None)
    yield _row("  failed, by reason", _counted(reasons))
    for job in ends.given_up(evidence):
        lost = f"{ends.kills(evidence, job)} kills, {ends.freezes(evidence, job)} freezes"
        yield _row("  given up as worker_lost", f"{job} ({lost})")
    yield _row("uploads", sum(wish.is_upload for wish in evidence.wishes))
    yield _row("repeated requests", sum(wish.recipe == "repetition" for wish in evidence.wishes))
    yield _row("cancellations", sum(wish.recipe == "cancellation" for wish in evidence.wishes))
    yield _row("dead letters", len({letter.place for letter in evidence.letters}))


def _faults(evidence: Evidence) -> Iterator[str]:
    yield ""
    for kind in Kind:
        hits = len(list(evidence.diary.hits(kind)))
        missed = sum(bool(fault.missed) for fault in evidence.diary.faults if fault.kind is kind)
        yield _row(kind.value, f"{hits}" + (f" (and {missed} that hit nobody)" if missed else ""))


def _runs(evidence: Evidence) -> Iterator[str]:
    yield ""
    told = evidence.rebuild
    yield _row("rebuild", "not in this version" if told is None else "identical" if told["identical"] else "DIFFERENT")
    yield _row("runs in the ledger", len(evidence.runs))
    again = Counter(why or "for no reason" for _, why in repeats.before_the_outcome(evidence))
    yield _row("runs repeated before outcome.json existed", f"{sum(again.values())} ({_counted(again) or 'none'})")
    yield _row("overlapping runs, zombies included", len(repeats.overlaps(evidence)))
    attempts = Counter(told[0].data["attempt"] for told in evidence.ends.values())
    yield _row("attempts of ended jobs", ", ".join(f"{n}: {attempts[n]}" for n in sorted(attempts)))
    told = sum(map(len, evidence.ends.values()))
    yield _row("terminal events told again, same id", told - len(evidence.ends))
    found = recoveries(evidence)
    goal = f"goal {evidence.session_s + 2:g} s"
    yield _row("from a kill to the restart of its jobs", f"{_quantiles(r.seconds for r in found)} ({goal})")
    calm = [r.seconds for r in found if not r.disturbed]
    yield _row("  where no other fault came between", _quantiles(calm))


def _promises(verdict: Verdict) -> Iterator[str]:
    yield ""
    for name, broken in verdict.broken.items():
        yield _row(name, f"{len(broken)}" + ("" if not broken else "  ← must be 0"))
        yield from (f"      {what}" for what in broken[:_SHOWN])
        if len(broken) > _SHOWN:
            yield f"      … and {len(broken) - _SHOWN} more"
    yield ""
    yield "Everything held." if verdict.is_good else "SOMETHING BROKE: see above."


def _quantiles(values: Iterable[float]) -> str:
    known = list(values)
    half, most = quantile(known, 0.5), quantile(known, 0.99)
    if half is None or most is None:
        return "no such job"
    return f"p50 {half:.1f} s, p99 {most:.1f} s, of {len(known)} jobs"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counter.most_common())


def _row(name: str, value: object) -> str:
    return f"{name:<54}{value}"
