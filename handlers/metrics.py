"""Scores. Every metric is a function of row weights: ones give the score, other weights what moves it.

So the score and its interval (`handlers.intervals`) come from the same code, and a thousand weightings are a
few matrix products in place of a thousand loops.

Sources: calibration error with ten bins of equal width over the confidence in the predicted class, Naeini,
Cooper & Hauskrecht (2015), in the top-label form of Guo et al. (2017); Matthews correlation for many classes,
Gorodkin (2004); Brier (1950), halved for two classes, so that it is the mean squared error of one probability.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.int64]]

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
    found = evaluate(predictions, np.ones((1, len(predictions.y))))
    return {name: float(values[0]) for name, values in found.items() if np.isfinite(values[0])}


def evaluate(predictions: Predictions, weights: Floats) -> dict[str, Floats]:
    """Metric → one value a row of `weights` (m, n); not-a-number where it is undefined."""
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
        **_rankings(is_true, probabilities, weights),
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
    return np.asarray(np.abs(weights @ calibration_gaps(confidence, right)).sum(axis=1))


def calibration_gaps(confidence: Floats, right: Floats) -> Floats:
    """How far each row is from its confidence, in the column of its bin: (n, 10), zero elsewhere."""
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    in_bin = (bins[:, None] == np.arange(_BINS)).astype(float)
    return np.asarray(in_bin * (right - confidence)[:, None])


def _rankings(is_true: Floats, probabilities: Floats, weights: Floats) -> dict[str, Floats]:
    """AUROC and average precision: the positive class of two; of many the mean over the classes that are there."""
    there = [column for column in range(is_true.shape[1]) if is_true[:, column].any()]
    if is_true.shape[1] == 2:
        there = [1]
    elif len(there) < 2:
        there = []
    # Summed class by class: ten classes at a time would need ten times the memory.
    total, defined = np.zeros((2, len(weights))), np.zeros((2, len(weights)))
    for column in there:
        positive, negative = _by_descending_score(is_true[:, column], probabilities[:, column], weights)
        values = np.stack([_auroc(positive, negative), _average_precision(positive, negative)])
        total += np.nan_to_num(values)
        defined += np.isfinite(values)
    return dict(zip(("auroc", "auprc"), total / defined, strict=True))


def _by_descending_score(is_true: Floats, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, highest score first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    sorted_weights = weights[:, order]
    positive = np.add.reduceat(sorted_weights * is_true[order], starts, axis=1)
    return positive, np.add.reduceat(sorted_weights, starts, axis=1) - positive


def _auroc(positive: Floats, negative: Floats) -> Floats:
    """The chance that a positive scores above a negative, ties counting half (Mann-Whitney)."""
    above = np.cumsum(positive, axis=1) - positive / 2
    return np.asarray((above * negative).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1)))


def _average_precision(positive: Floats, negative: Floats) -> Floats:
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
    """Mid-ranks of every row within each weighting, (m, n)."""
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
