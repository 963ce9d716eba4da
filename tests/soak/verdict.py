"""The verdict: every promise, and what of the evidence breaks it. A promise is kept when nothing does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import ends, others, repeats, tables
from .evidence import Evidence

Check = Callable[[Evidence], Iterator[str]]

#: What the report calls it, and who looks for what breaks it.
CHECKS: dict[str, Check] = {
    "lost jobs": ends.lost,
    "jobs with no terminal event": ends.without_end,
    "terminal events with different ids for one job": ends.two_ends,
    "ends told that are not the decided one": ends.not_as_decided,
    "ends that were not to be expected": ends.unexpected,
    "cancellations without an answer": ends.unanswered_cancellations,
    "runs repeated after outcome.json existed": repeats.after_the_outcome,
    "runs repeated without a kill, a freeze or a hand-over": repeats.without_reason,
    "overlapping runs, frozen zombies apart": repeats.forbidden_overlaps,
    "results of frozen zombies that count": repeats.results_of_zombies,
    "runs that no event tells of": repeats.untold,
    "jobs completed without a run": repeats.never_run,
    "API rows that differ from the log": tables.differences,
    "dead letters that are wrong or missing": others.wrong_letters,
    "acknowledged requests that the log lost or doubled": others.forgotten,
    "processes left over": others.left_over,
    "services that ended by themselves": others.died,
    "differences after a rebuild": others.not_rebuilt,
    "faults that hit nobody": others.untried,
}


@dataclass(frozen=True)
class Verdict:
    """Promise → what breaks it."""

    broken: dict[str, list[str]]

    @property
    def is_good(self) -> bool:
        return not any(self.broken.values())


def judge(evidence: Evidence) -> Verdict:
    return Verdict({name: list(check(evidence)) for name, check in CHECKS.items()})
