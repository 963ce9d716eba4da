"""Scores with intervals. Every metric is a function of row weights: ones give the score, counts a resample.

So the score and its interval come from the same code, and a thousand resamples are a few matrix products
in place of a thousand loops.

Sources: bootstrap percentile interval, Efron & Tibshirani (1993), chapter 13; calibration error with ten
bins of equal width over the confidence in the predicted class, Naeini, Cooper & Hauskrecht (2015), in the
top-label form of Guo et al. (2017); Matthews correlation for many classes, Gorodkin (2004); Brier (1950),
halved for two classes, so that it is the mean squared error of one probability.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.int64]]

RESAMPLES = 1000
_FEWEST_RESAMPLES = 200
_MOST_DRAWS = 20_000_000
#: Weights in memory at a time: 16 MB, whatever the number of rows.
_CHUNK = 2_000_000
_BINS = 10

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae"})
CLASSIFICATION = (
    "accuracy", "balanced_accuracy", "f1", "auroc", "auprc", "mcc", "log_loss", "brier", "calibration_error",
)  # fmt: skip
REGRESSION = ("rmse", "mae", "r2", "spearman")


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model said about n rows.

    `y`: class codes 0..k-1, or values. `predicted`: likewise. `probabilities`: (n, k), rows sum to 1; None for
    a regression. With two classes, class 1 is the positive one.
    """

    y: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]
    probabilities: Floats | None = None


def is_better(metric: str, score: float, than: float) -> bool:
    """Whether `score` is strictly better in `metric`."""
    return score < than if metric in LOWER_IS_BETTER else score > than


def score(predictions: Predictions) -> dict[str, float]:
    """Every metric that is defined on these rows, by name: AUROC, for one, needs two classes among them."""
    found = _evaluate(predictions, np.ones((1, len(predictions.y))))
    return {name: float(values[0]) for name, values in found.items() if np.isfinite(values[0])}


def intervals(
    predictions: Predictions,
    groups: np.ndarray[Any, Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Metric → [low, high], the 95 % percentile interval.

    Without groups, rows are drawn within each class, so that no resample loses one; for a regression, from all
    rows. With groups, whole groups are drawn (rows of one patient are not independent). Where such a resample
    lacks a class, metrics that need it are left out of it; a metric undefined in more than half of them gets no
    interval. Above 20,000 rows there are fewer resamples, at least 200.
    """
    n = len(predictions.y)
    resamples = max(min(resamples, _FEWEST_RESAMPLES), min(resamples, _MOST_DRAWS // max(1, n)))
    rng = np.random.default_rng(seed)
    if groups is not None:
        strata, units = np.zeros(n, dtype=np.int64), np.unique(groups, return_inverse=True)[1]
    else:
        is_class = predictions.probabilities is not None
        strata = predictions.y.astype(np.int64) if is_class else np.zeros(n, dtype=np.int64)
        units = np.arange(n)
    chunks = [_evaluate(predictions, weights) for weights in _resample(strata, units, resamples, rng)]
    drawn = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return {name: _percentiles(values) for name, values in drawn.items() if np.isfinite(values).mean() > 0.5}


def _percentiles(values: Floats) -> list[float]:
    low, high = np.percentile(values[np.isfinite(values)], [2.5, 97.5])
    return [float(low), float(high)]


def _resample(strata: Indices, units: Indices, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Matrices of how often each row is drawn, (at most a chunk of resamples, n)."""
    first_rows = np.unique(units, return_index=True)[1]
    stratum_of_unit = strata[first_rows]
    members = [np.flatnonzero(stratum_of_unit == stratum) for stratum in np.unique(stratum_of_unit)]
    step = max(1, _CHUNK // max(1, len(units)))
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        counts = np.empty((size, len(first_rows)))
        for inside in members:
            counts[:, inside] = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=size)
        yield counts[:, units]


def _evaluate(predictions: Predictions, weights: Floats) -> dict[str, Floats]:
    """Metric → one value a row of `weights` (resamples, n); not-a-number where it is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if predictions.probabilities is None:
            return _regression(predictions.y.astype(float), predictions.predicted.astype(float), weights)
        return _classification(predictions.y, predictions.predicted, predictions.probabilities, weights)


def _classification(y: Indices, predicted: Indices, probabilities: Floats, weights: Floats) -> dict[str, Floats]:
    total = weights.sum(axis=1)
    classes = np.arange(probabilities.shape[1])
    is_true = (y[:, None] == classes).astype(float)
    is_said = (predicted[:, None] == classes).astype(float)
    true, said, hit = weights @ is_true, weights @ is_said, weights @ (is_true * is_said)
    confidence, right = probabilities.max(axis=1), (predicted == y).astype(float)
    squares = ((probabilities - is_true) ** 2).sum(axis=1) / (2 if len(classes) == 2 else 1)
    return {
        "accuracy": hit.sum(axis=1) / total,
        "balanced_accuracy": np.nanmean(np.where(true > 0, hit / true, np.nan), axis=1),
        "f1": _f1(true, said, hit),
        "auroc": _one_versus_rest(_auroc, is_true, probabilities, weights),
        "auprc": _one_versus_rest(_average_precision, is_true, probabilities, weights),
        "mcc": _mcc(true, said, hit, total),
        "log_loss": weights @ _surprise(y, probabilities) / total,
        "brier": weights @ squares / total,
        "calibration_error": _calibration_error(confidence, right, weights) / total,
    }


def _f1(true: Floats, said: Floats, hit: Floats) -> Floats:
    """F1 of the positive class; of many classes the mean over those that are there or were said."""
    by_class = np.where(true + said > 0, 2 * hit / (true + said), np.nan)
    if by_class.shape[1] == 2:
        return np.nan_to_num(by_class[:, 1])
    return np.asarray(np.nanmean(by_class, axis=1))


def _mcc(true: Floats, said: Floats, hit: Floats, total: Floats) -> Floats:
    covariance = hit.sum(axis=1) * total - (true * said).sum(axis=1)
    spread = (total**2 - (said**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1))
    return np.where(spread > 0, covariance / np.sqrt(spread), 0.0)


def _surprise(y: Indices, probabilities: Floats) -> Floats:
    # A probability of 0 for what happened would be infinitely wrong: it counts as the smallest step from 0.
    tiny = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(probabilities[np.arange(len(y)), y], tiny, 1)))


def _calibration_error(confidence: Floats, right: Floats, weights: Floats) -> Floats:
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    in_bin = (bins[:, None] == np.arange(_BINS)).astype(float)
    return np.asarray(np.abs(weights @ (in_bin * (right - confidence)[:, None])).sum(axis=1))


def _one_versus_rest(
    metric: Callable[[Floats, Floats, Floats], Floats], is_true: Floats, probabilities: Floats, weights: Floats
) -> Floats:
    """The positive class of two; of many the mean over the classes that are among the rows."""
    if is_true.shape[1] == 2:
        return metric(is_true[:, 1], probabilities[:, 1], weights)
    there = [column for column in range(is_true.shape[1]) if is_true[:, column].any()]
    if len(there) < 2:
        return np.full(len(weights), np.nan)
    # Summed class by class: ten classes at a time would need ten times the memory.
    total, defined = np.zeros(len(weights)), np.zeros(len(weights))
    for column in there:
        values = metric(is_true[:, column], probabilities[:, column], weights)
        total += np.nan_to_num(values)
        defined += np.isfinite(values)
    return total / defined


def _by_descending_score(is_true: Floats, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, highest score first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    sorted_weights = weights[:, order]
    positive = np.add.reduceat(sorted_weights * is_true[order], starts, axis=1)
    return positive, np.add.reduceat(sorted_weights, starts, axis=1) - positive


def _auroc(is_true: Floats, scores: Floats, weights: Floats) -> Floats:
    """The chance that a positive scores above a negative, ties counting half (Mann-Whitney)."""
    positive, negative = _by_descending_score(is_true, scores, weights)
    above = np.cumsum(positive, axis=1) - positive / 2
    return np.asarray((above * negative).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1)))


def _average_precision(is_true: Floats, scores: Floats, weights: Floats) -> Floats:
    positive, negative = _by_descending_score(is_true, scores, weights)
    found = np.cumsum(positive, axis=1)
    precision = np.nan_to_num(found / (found + np.cumsum(negative, axis=1)))
    return np.asarray((positive * precision).sum(axis=1) / positive.sum(axis=1))


def _regression(y: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
    total = weights.sum(axis=1)
    errors = predicted - y
    squares = weights @ errors**2
    # Centred first: the square of a large mean would swallow the variance.
    centred = y - y.mean()
    around_mean = weights @ centred**2 - (weights @ centred) ** 2 / total
    return {
        "rmse": np.sqrt(squares / total),
        "mae": weights @ np.abs(errors) / total,
        "r2": np.where(around_mean > 1e-12 * (centred @ centred), 1 - squares / around_mean, np.nan),
        "spearman": _correlation(_ranks(y, weights), _ranks(predicted, weights), weights),
    }


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Mid-ranks of every row within each resample, (resamples, n)."""
    distinct, codes = np.unique(values, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(distinct)))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((np.cumsum(tied, axis=1) - tied / 2)[:, codes])


def _correlation(a: Floats, b: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    a = a - (weights * a).sum(axis=1, keepdims=True) / total
    b = b - (weights * b).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
    return np.where(spread > 0, (weights * a * b).sum(axis=1) / spread, np.nan)
