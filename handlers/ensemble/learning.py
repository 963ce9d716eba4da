"""The step that combines: learned on combination rows, or on refits where there are none, or decided beforehand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from events.requests import EnsembleRequested
from handlers.metrics import score

from .asking import predictions
from .blending import blended
from .practice import Combination, Practice
from .stacking import stacked
from .voting import voted

_LEARNED: dict[str, Callable[[Practice, int], dict[str, Any]]] = {"stacking": stacked, "blending": blended}


@dataclass(frozen=True, slots=True)
class Learned:
    """How members are combined. `scores`: each one's on the practice rows; `score`: the combination's own.

    The combination's score is of rows that it was not learned from. All are None where there is no practice.
    """

    combination: dict[str, Any]
    scores: list[float | None]
    score: float | None
    warnings: list[str] = field(default_factory=list)


def learns(request: EnsembleRequested) -> bool:
    """Whether the method learns anything from rows."""
    return request.method in _LEARNED


def learned(request: EnsembleRequested, practice: Practice | None, n_members: int, metric: str) -> Learned:
    """The combination that a request means, by the rows that there are for it."""
    if practice is None:
        combination = voted(n_members, request.weights, request.voting)
        return Learned(combination, [None] * n_members, None, [_NOTHING_LEARNED] if learns(request) else [])
    practice = practice.thinned(request.seed)
    scores = [score(predictions(said, practice.y)).get(metric) for said in practice.said]
    step = partial(combination_for, request)
    unseen = practice.unseen(step, practice.folds(request.seed))
    return Learned(dict(step(practice)), scores, score(predictions(unseen, practice.y)).get(metric))


def combination_for(request: EnsembleRequested, practice: Practice) -> Combination:
    """The combination that a request means, learned on these rows where it learns."""
    # One patient's rows alone cannot tell what holds for others.
    if request.method in _LEARNED and practice.n_units > 1:
        return _LEARNED[request.method](practice, request.seed)
    return voted(practice.m, request.weights, request.voting)


_NOTHING_LEARNED = (
    "There was no time to train the members again on folds, so nothing could be learned of them: they have equal "
    "weights. Allow more time (timeout_s), or combine fewer models"
)
