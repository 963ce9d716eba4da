"""By how much one model is better than another on the same rows, and how sure that is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .metrics import LOWER_IS_BETTER, Predictions, evaluate, score
from .units import units_of

_DRAWS = 2000
#: Weights in memory at a time: 16 MB, whatever the number of rows.
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the first is better than the second in a metric, with a 95 % interval; positive is better."""

    metric: str
    value: float
    low: float
    high: float
    n_rows: int

    def __str__(self) -> str:
        return f"{self.value:+.3g} [{self.low:+.3g}, {self.high:+.3g}] in {self.metric}"


def paired_gain(
    ours: Predictions, theirs: Predictions, metric: str, groups: np.ndarray[Any, Any] | None, seed: int
) -> Gain | None:
    """The gain of `ours` over `theirs` on the same n rows; None where the metric has no value on them.

    Method: percentiles of paired resamples of rows, or of whole groups (Efron and Tibshirani 1993, chapter 13).
    """
    our_scores, their_scores = score(ours), score(theirs)
    if metric not in our_scores or metric not in their_scores:
        return None
    n = len(ours.y)
    units = units_of(groups, n)
    count, rng, drawn = int(units.max()) + 1, np.random.default_rng(seed), []
    for begin in range(0, _DRAWS, step := max(1, _CHUNK // n)):
        draws = min(step, _DRAWS - begin)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=draws)[:, units].astype(float)
        drawn.append(evaluate(ours, weights)[metric] - evaluate(theirs, weights)[metric])
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    low, high = np.nanpercentile(sign * np.concatenate(drawn), [2.5, 97.5])
    return Gain(metric, sign * (our_scores[metric] - their_scores[metric]), float(low), float(high), n)
