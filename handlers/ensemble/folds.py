"""Rows dealt out into folds: classes alike in each, whole groups together, the same each time."""

from typing import Any

import numpy as np

from handlers.splits import Indices

_MOST_RANGES = 5


def strata_of(y: np.ndarray[Any, Any], n_classes: int | None) -> Indices:
    """(n,) each row's class, or the range that its value lies in: one of five with as many rows in each."""
    if n_classes is not None:
        return np.asarray(y, dtype=np.int64)
    n_ranges = max(1, min(_MOST_RANGES, len(y) // 10))
    return np.asarray(np.argsort(np.argsort(y, kind="stable"), kind="stable") * n_ranges // max(1, len(y)))


def deal(strata: Indices, units: Indices, n_folds: int, seed: int) -> Indices:
    """(n,) the fold of each row, 0..n_folds-1.

    Units go, largest first, to the fold that has least of what they hold, in proportion to what there is of it.
    """
    counts = np.zeros((int(units.max()) + 1, int(strata.max()) + 1))
    np.add.at(counts, (units, strata), 1)
    scale = 1 / np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.lexsort((_main_stratum(counts)[order], -counts.sum(axis=1)[order]))]
    dealt, sizes, fold_of = np.zeros((n_folds, counts.shape[1])), np.zeros(n_folds), np.zeros(len(counts), dtype=int)
    for unit in order:
        has = dealt @ (counts[unit] * scale)
        fold = int(np.lexsort((sizes, np.round(has, 12)))[0])
        dealt[fold] += counts[unit]
        sizes[fold] += counts[unit].sum()
        fold_of[unit] = fold
    return np.asarray(fold_of[units])


def _main_stratum(counts: np.ndarray[Any, Any]) -> Indices:
    """The stratum that a unit has most of: units of one stratum are dealt out one after the other."""
    return np.asarray(counts.argmax(axis=1))
