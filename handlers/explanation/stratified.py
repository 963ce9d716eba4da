"""Some of many rows, chosen so that every stratum has its share: the same ones each time."""

import hashlib
from typing import Any

import numpy as np

from handlers.datasets.problem import Problem
from handlers.splits import Indices

_MOST_RANGES = 10
_ROWS_PER_RANGE = 5


def strata_of(problem: Problem) -> Indices:
    """(n,): the class of each row, or the tenth of the target's range of ranks that it is in."""
    if problem.classes is not None:
        return problem.y
    ranks = np.unique(problem.y, return_inverse=True)[1].reshape(-1)
    n_ranges = max(1, min(_MOST_RANGES, len(ranks) // _ROWS_PER_RANGE))
    edges = np.sort(ranks)[np.arange(1, n_ranges) * len(ranks) // n_ranges]
    return np.digitize(ranks, np.unique(edges)).astype(np.int64)


def stratified(rows: Indices, strata: Indices, count: int, key: str) -> Indices:
    """At most `count` of `rows` (m,), ascending. `strata` (m,) says what each is; `key` decides between equals.

    Each stratum gets its share by largest remainders, and at least one row where `count` allows one for all.
    """
    if count >= len(rows):
        return np.sort(rows)
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    order = np.random.default_rng(seed).permutation(len(rows))
    kinds = np.unique(strata, return_inverse=True)[1].reshape(-1)
    quotas = _quotas(np.bincount(kinds), count)
    chosen = [order[kinds[order] == kind][:quota] for kind, quota in enumerate(quotas)]
    return np.sort(rows[np.concatenate(chosen)])


def _quotas(sizes: Any, count: int) -> Any:
    exact = count * sizes / sizes.sum()
    quotas = np.floor(exact).astype(np.int64)
    if count >= len(sizes):
        quotas = np.maximum(quotas, 1)
    while quotas.sum() > count:
        quotas[np.argmax(np.where(quotas > 1, quotas - exact, -np.inf))] -= 1
    while quotas.sum() < count:
        quotas[np.argmax(np.where(quotas < sizes, exact - quotas, -np.inf))] += 1
    return quotas
