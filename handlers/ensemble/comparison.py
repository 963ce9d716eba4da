"""What an ensemble is worth: beside each of its members, on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.gains import Gain, paired_gain
from handlers.intervals import intervals
from handlers.metrics import Predictions, is_better, score
from handlers.preparation import Prepared

from .asking import Said
from .combining import Floats
from .members import Member

#: Members whose errors are as alike as this are one and the same to an ensemble.
_ALIKE = 0.999
#: A member's recorded score may differ from its score here by rounding, and by no more than this share.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Comparison:
    """Members on the test rows: their metrics and intervals; the best by what was known before, and the gain over it.

    `correlation`: (m, m) of members' errors, None where a member has none. `warnings`: for the reader.
    """

    metrics: list[dict[str, float]]
    intervals: list[dict[str, list[float]]]
    best: int
    gain: Gain | None
    correlation: list[list[float | None]]
    warnings: list[str]


def compare(
    ours: Predictions,
    said: Said,
    members: Sequence[Member],
    scores: Sequence[float | None],
    prepared: Prepared,
    metric: str,
    seed: int,
) -> Comparison:
    """`ours`: the ensemble's answers. `scores`: the members' in `metric`, on rows that none of them has seen."""
    test = prepared.parts.test
    groups = None if prepared.problem.groups is None else prepared.problem.groups.iloc[test].astype(str).to_numpy()
    alone = [said.on_test(place, ours.y) for place in range(len(members))]
    metrics = [score(each) for each in alone]
    best = best_of(members, scores, metric)
    gain = paired_gain(ours, alone[best], metric, groups, seed)
    correlation = error_correlation(said.test, ours.y)
    return Comparison(
        metrics=metrics,
        intervals=[intervals(each, groups, seed) for each in alone],
        best=best,
        gain=gain,
        correlation=correlation,
        warnings=[
            *_about_gain(gain, members[best]),
            *_about_twins(correlation, members),
            *_about_scores(metrics, members, metric),
        ],
    )


def best_of(members: Sequence[Member], scores: Sequence[float | None], metric: str) -> int:
    """The member that somebody would have chosen without the test rows: by combination rows, else by validation."""
    known = scores if all(found is not None for found in scores) else [_validation(member) for member in members]
    best = 0
    for place, found in enumerate(known):
        than = known[best]
        if found is not None and (than is None or is_better(metric, found, than)):
            best = place
    return best


def _validation(member: Member) -> float | None:
    return member.facts.get("validation_score")


def error_correlation(said: Floats, y: np.ndarray[Any, Any]) -> list[list[float | None]]:
    """(m, m) Pearson's correlation between members' errors on the same rows; None with a member whose errors are alike.

    The error of a row is the probability that the member gives to all classes but the true one; for numbers what it
    says minus the truth.
    """
    errors = said - y if said.ndim == 2 else 1 - said[:, np.arange(len(y)), y]
    centred = errors - errors.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1))
    varies = size > 1e-12 * np.sqrt(errors.shape[1])
    unit = centred / np.where(varies, size, 1)[:, None]
    found = np.clip(unit @ unit.T, -1, 1)
    return [
        [round(float(found[i, j]), 4) if varies[i] and varies[j] else None for j in range(len(found))]
        for i in range(len(found))
    ]


def _about_gain(gain: Gain | None, best: Member) -> list[str]:
    if gain is None or gain.low > 0:
        return []
    if gain.high < 0:
        return [f"The ensemble is worse than its best member, {best.name}: {gain}. Use that one"]
    return [f"The ensemble is not better than its best member, {best.name}, beyond noise: {gain}"]


def _about_twins(correlation: list[list[float | None]], members: Sequence[Member]) -> list[str]:
    pairs = [
        (members[i].name, members[j].name)
        for i in range(len(members))
        for j in range(i)
        if (found := correlation[i][j]) is not None and found >= _ALIKE
    ]
    if not pairs:
        return []
    one, other = pairs[0]
    more = f", and so do {len(pairs) - 1} other pairs" if len(pairs) > 1 else ""
    return [f"{other} and {one} make the same errors{more}: one of them would do"]


def _about_scores(metrics: list[dict[str, float]], members: Sequence[Member], metric: str) -> list[str]:
    """A member that scores otherwise than when it was made: versions of packages are not the same, or its files."""
    found = []
    for here, member in zip(metrics, members, strict=True):
        then = member.facts["metrics"].get(metric)
        if then is not None and metric in here and abs(here[metric] - then) > _ROUNDING * max(1e-3, abs(then)):
            found.append(f"{member.name} scores {here[metric]:.4g} in {metric} here, {then:.4g} when it was made")
    return found
