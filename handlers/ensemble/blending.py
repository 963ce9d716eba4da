"""Blending: weights of members that sum to one, found by greedy selection.

Source: Caruana, Niculescu-Mizil, Crew and Ksikes, «Ensemble Selection from Libraries of Models» (2004): in bags of
members, and here of rows as well, the member that makes the mean best is added again and again; a member's weight is
how often it was chosen. On a hundred rows such weights follow chance, so they are drawn towards equal ones, as far as
cross-validation on the same rows asks for.
"""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .combining import Floats
from .practice import Practice

_BAGS, _STEPS = 20, 20
_SHARE_OF_MEMBERS = 0.5
#: The part of equal weights that is tried, the largest first.
_EQUAL = (1.0, 0.75, 0.5, 0.25, 0.0)
_REPEATS = 3
_TINY = np.finfo(np.float64).eps


def blended(practice: Practice, seed: int) -> dict[str, Any]:
    """The combination; `shrunk` is the part of equal weights in it."""
    # Threads of a library would wait for each other longer than such small matrices take.
    with threadpool_limits(1):
        losses = np.mean([_losses(practice, seed + repeat) for repeat in range(_REPEATS)], axis=0)
        equal = _EQUAL[practice.strongest(losses)]
        return {**_combination(_towards_equal(selected(practice, seed), equal)), "shrunk": equal}


def _losses(practice: Practice, seed: int) -> Floats:
    """(candidates, n): the loss of each row by weights that were found without it."""
    folds, answers = practice.folds(seed), np.zeros((len(_EQUAL), *practice.said.shape[1:]))
    for fold in np.unique(folds):
        asked = folds == fold
        found = selected(practice.some(np.flatnonzero(~asked)), seed)
        for place, equal in enumerate(_EQUAL):
            answers[place, asked] = np.tensordot(_towards_equal(found, equal), practice.said[:, asked], axes=1)
    # All at once: an error is a share of the variance of all rows, not of those of its fold.
    return np.stack([practice.losses(each) for each in answers])


def selected(practice: Practice, seed: int) -> Floats:
    """(m,) weights by greedy selection alone."""
    rng = np.random.default_rng(seed)
    m, n_units = practice.m, int(practice.units.max()) + 1
    size = m if m <= 3 else max(3, round(_SHARE_OF_MEMBERS * m))
    told, loss = _of_members(practice)
    chosen = np.zeros(m)
    for _ in range(_BAGS):
        members = np.sort(rng.choice(m, size, replace=False))
        times = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)[practice.units].astype(float)
        chosen[members] += _greedy(told[members], loss, times)
    return np.asarray(chosen / chosen.sum())


def _of_members(practice: Practice) -> tuple[Floats, Any]:
    """(m, n) what of the members' answers a mean's loss follows from, and that loss."""
    if practice.n_classes is None:
        return practice.said - practice.y, _squared
    return practice.said[:, np.arange(len(practice.y)), practice.y], _surprise


def _greedy(told: Floats, loss: Any, times: Floats) -> Floats:
    """How often each member is chosen."""
    counts, total = np.zeros(len(told)), np.zeros(told.shape[1])
    for step in range(1, _STEPS + 1):
        best = int((loss((total + told) / step) @ times).argmin())
        counts[best] += 1
        total = total + told[best]
    return counts


def _squared(errors: Floats) -> Floats:
    return errors**2


def _surprise(chances: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(chances, _TINY, 1)))


def _towards_equal(weights: Floats, part: float) -> Floats:
    return (1 - part) * weights + part / len(weights)


def _combination(weights: Floats) -> dict[str, Any]:
    return {"method": "blending", "voting": "soft", "weights": weights.tolist(), "meta": None}
