"""Two models on the same test rows: scores, and their difference with an interval from paired resamples of rows.

Test rows are drawn anew within each seed, the same draw for both models, and the seeds' differences averaged: so what
both find hard cancels out. Seeds share rows of one table, which the interval takes for independent.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

RESAMPLES = 5000

#: Predictions and probabilities (None for numbers), as lists.
Said = dict[str, Any]
Measure = Callable[..., Any]


def as_said(predictions: Any) -> Said:
    """What a model said about the test rows, as JSON data."""
    chances = predictions.probabilities
    return {
        "predicted": predictions.predicted.tolist(),
        "probabilities": None if chances is None else chances.tolist(),
    }


def differences(pairs: Iterable[tuple[Any, Said, Said]], measure: Measure) -> Any:
    """The first model minus the second in 5,000 draws of test rows, the mean over seeds.

    `pairs`: for each seed the truth, and what each of the two said.
    """
    told = list(pairs)
    drawn = np.zeros(RESAMPLES)
    for (y, first, second), times in zip(told, _draws(tuple(len(y) for y, *_ in told)), strict=True):
        weights = times.astype(np.float64)
        drawn += measure(y, first, weights) - measure(y, second, weights)
    return drawn / len(told)


@lru_cache(maxsize=2)
def _draws(lengths: tuple[int, ...]) -> list[Any]:
    """For each seed (5,000, n): how many times each row is drawn."""
    rng = np.random.default_rng(0)
    return [rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.int16) for n in lengths]


def interval(drawn: Any) -> tuple[float, float]:
    """The middle 95 % of the draws."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def points(y: Any, said: Said, weights: Any = None) -> Any:
    """Percent of right answers, or of variance explained; one value for each row of weights."""
    weights = np.ones((1, len(y))) if weights is None else weights
    predicted = np.array(said["predicted"])
    if said["probabilities"] is not None:
        return 100 * (weights @ (predicted == y)) / len(y)
    mean = (weights @ y) / len(y)
    around = weights @ y**2 - len(y) * mean**2
    return 100 * (1 - (weights @ (predicted - y) ** 2) / around)


def loss(y: Any, said: Said, weights: Any = None) -> Any:
    """Minus the log-loss, or minus the RMSE in standard deviations of the test rows."""
    weights = np.ones((1, len(y))) if weights is None else weights
    if said["probabilities"] is None:
        return -np.sqrt(weights @ (np.array(said["predicted"]) - y) ** 2 / len(y)) / y.std()
    chances = np.array(said["probabilities"])[np.arange(len(y)), y]
    return weights @ np.log(np.clip(chances, 1e-15, 1)) / len(y)
