"""What transfer was worth: beside the same network from scratch, on the same test rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.metrics import LOWER_IS_BETTER, Predictions, evaluate, is_better, score
from handlers.training.fit import Fitted

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
    if metric not in score(ours) or metric not in score(theirs):
        return None
    n = len(ours.y)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    count, rng, drawn = int(units.max()) + 1, np.random.default_rng(seed), []
    for begin in range(0, _DRAWS, step := max(1, _CHUNK // n)):
        draws = min(step, _DRAWS - begin)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=draws)[:, units].astype(float)
        drawn.append(evaluate(ours, weights)[metric] - evaluate(theirs, weights)[metric])
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    low, high = np.nanpercentile(sign * np.concatenate(drawn), [2.5, 97.5])
    return Gain(metric, sign * (score(ours)[metric] - score(theirs)[metric]), float(low), float(high), n)


def about_transfer(gain: Gain | None) -> list[str]:
    """A warning where transfer did not pay, made no difference, or nobody can tell."""
    if gain is None or gain.low > 0:
        return []
    if gain.low == gain.high == 0:
        return ["Transfer made no difference: the answers are those of the same network from scratch"]
    if gain.high < 0:
        return [
            f"Transfer did not pay: beside the same network from scratch it gains {gain} on {gain.n_rows} test rows. "
            "The base model may be of another kind of data, or there are rows enough without it"
        ]
    return [
        f"Whether transfer paid cannot be told from {gain.n_rows} test rows: beside the same network from scratch it "
        f"gains {gain}"
    ]


def members(fits: dict[str, Fitted], metric: str) -> list[dict[str, Any]]:
    """Lines of a leaderboard, best first: name, validation score, seconds."""
    ranked: list[tuple[str, Fitted]] = []
    for name, fitted in fits.items():
        place = sum(not _is_better(fitted.validation_score, other.validation_score, metric) for _, other in ranked)
        ranked.insert(place, (name, fitted))
    return [
        {"name": name, "validation_score": fitted.validation_score, "fit_seconds": fitted.seconds}
        for name, fitted in ranked
    ]


def _is_better(value: float | None, than: float | None, metric: str) -> bool:
    return value is not None and (than is None or is_better(metric, value, than))
