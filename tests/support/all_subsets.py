"""Shapley values by going through all subsets of the features and asking a model: slow, and nothing of ours in it."""

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def by_all_subsets(answer: Callable[[Array], Array], X: Array, background: Array) -> Array:
    """(n, p, c) for the n rows of `X`; `answer` makes (rows, c) or (rows,) of (rows, p)."""
    n, p = X.shape
    worths = []
    for subset in range(1 << p):
        taken = np.array([bool(subset >> i & 1) for i in range(p)])
        mixed = np.where(taken, X[:, None, :], background[None]).reshape(-1, p)
        worths.append(np.asarray(answer(mixed), dtype=np.float64).reshape(n, len(background), -1).mean(axis=1))
    values = np.zeros((n, p, worths[0].shape[1]))
    for subset, worth in enumerate(worths):
        size = subset.bit_count()
        for i in range(p):
            if not subset >> i & 1:
                weight = factorial(size) * factorial(p - 1 - size) / factorial(p)
                values[:, i] += weight * (worths[subset | 1 << i] - worth)
    return values
