"""Which rows train, which combine, which test: decided by the data alone, the same for every model.

The parts follow from the dataset's bytes, the target and the group column, and from nothing in a request:
no seed, no model, no problem type. Models with the same `split_id` may be compared and combined.

Method: rows of one stratum (a class, or a range of a numeric target) are put in the order of a hash and dealt
out by fixed shares. With groups, whole groups are dealt out, largest first, each to the part that this
brings closest to its share of every stratum: the greedy idea of Sechidis et al. (2011), «On the
Stratification of Multi-Label Data», with strata in the place of labels.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

VERSION = 1
#: With fewer labelled rows no combination rows are set aside.
MIN_ROWS_FOR_COMBINATION = 200
#: A value of the target that is rarer cannot be in every part.
MIN_STRATUM_ROWS = 5
TEST_SHARE = 0.2
COMBINATION_SHARE = 0.15

_MOST_BINS = 10
_ROWS_PER_BIN = 10

Indices = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of rows, ascending and disjoint. Nothing fits on `combination` or `test`."""

    train: Indices
    combination: Indices
    test: Indices
    split_id: str


def split(
    dataset_sha256: str,
    target_column: str,
    target: "pd.Series[Any]",
    group_column: str | None = None,
    groups: "pd.Series[Any] | None" = None,
) -> Split:
    """Deals the rows out.

    Args:
        target: n values as they stand in the file; a row without one is in no part.
        groups: n values; rows with the same one stay together. A row without one is in no part.
    """
    known = is_known(target)
    if groups is not None:
        known &= groups.notna().to_numpy()
    rows = np.flatnonzero(known).astype(np.int64)
    strata = _strata(target.iloc[rows])
    seed = f"split-{VERSION}\x1f{dataset_sha256}\x1f{target_column}\x1f{group_column or ''}"
    shares = _shares(len(rows))
    if groups is None:
        part = _deal_rows(strata, shares, seed)
    else:
        part = _deal_groups(strata, pd.factorize(groups.iloc[rows].astype(str), sort=True)[0], shares, seed)
    train, combination, test = (rows[part == number] for number in range(3))
    return Split(train, combination, test, _split_id(seed, train, combination, test))


def is_known(target: "pd.Series[Any]") -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows have a target: neither missing nor infinite."""
    if pd.api.types.is_float_dtype(target.dtype):
        return np.asarray(np.isfinite(target.to_numpy(dtype=np.float64, na_value=np.nan)))
    return target.notna().to_numpy().copy()


def _shares(n_rows: int) -> Floats:
    combination = COMBINATION_SHARE if n_rows >= MIN_ROWS_FOR_COMBINATION else 0.0
    return np.array([1 - TEST_SHARE - combination, combination, TEST_SHARE])


def _strata(target: "pd.Series[Any]") -> Indices:
    """The stratum of each row. Numbers with too many or too rare values for classes are cut into ranges."""
    numeric = pd.api.types.is_numeric_dtype(target.dtype) and not pd.api.types.is_bool_dtype(target.dtype)
    values = target if numeric else target.astype(str)
    codes, distinct = pd.factorize(values, sort=True)
    if numeric and len(distinct) and np.bincount(codes).min() < MIN_STRATUM_ROWS:
        # The codes are ranks: cutting them is cutting the values, without any rounding.
        return _ranges(codes.astype(np.int64))
    return codes.astype(np.int64)


def _ranges(ranks: Indices) -> Indices:
    n_bins = max(1, min(_MOST_BINS, len(ranks) // _ROWS_PER_BIN))
    edges = np.sort(ranks)[np.arange(1, n_bins) * len(ranks) // n_bins]
    return np.digitize(ranks, np.unique(edges)).astype(np.int64)


def _deal_rows(strata: Indices, shares: Floats, seed: str) -> Indices:
    order = _hash_keys(len(strata), seed)
    part = np.zeros(len(strata), dtype=np.int64)
    for stratum in _positions_by_value(strata):
        shuffled = stratum[np.argsort(order[stratum], kind="stable")]
        n_combination, n_test = (_count(len(stratum), share) for share in shares[1:])
        part[shuffled[:n_test]] = 2
        part[shuffled[n_test : n_test + n_combination]] = 1
    return part


def _count(n_rows: int, share: float) -> int:
    """How many of a stratum's rows a part gets: at least one, where there is enough for all."""
    rounded = int(n_rows * share + 0.5)
    return max(1, rounded) if share and n_rows >= MIN_STRATUM_ROWS else rounded


def _deal_groups(strata: Indices, groups: Indices, shares: Floats, seed: str) -> Indices:
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    counts = np.zeros((n_groups, int(strata.max()) + 1 if len(strata) else 0))
    np.add.at(counts, (groups, strata), 1)
    wanted = np.outer(shares, counts.sum(axis=0))
    # A missing row of a rare stratum weighs as much as many of a common one.
    scale = 1 / np.maximum(counts.sum(axis=0), 1)
    open_parts = np.flatnonzero(shares)
    order = np.lexsort((_hash_keys(n_groups, seed), -counts.sum(axis=1)))
    part_of_group = np.zeros(n_groups, dtype=np.int64)
    for group in order:
        # The part that lacks most of what this group holds; its own share decides between equals.
        lack = (wanted[open_parts] * scale) @ counts[group]
        chosen = open_parts[int(np.argmax(lack))]
        wanted[chosen] -= counts[group]
        part_of_group[group] = chosen
    return part_of_group[groups]


def _positions_by_value(values: Indices) -> Iterator[Indices]:
    order = np.argsort(values, kind="stable").astype(np.int64)
    yield from np.split(order, np.flatnonzero(np.diff(values[order])) + 1)


def _hash_keys(n: int, seed: str) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """n pseudo-random numbers that never change: SplitMix64 (Steele, Lea and Flood 2014).

    NumPy's own generators may give other streams in a later version; a split may not.
    """
    start = np.frombuffer(hashlib.sha256(seed.encode()).digest()[:8], dtype="<u8")[0]
    z = start + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _split_id(seed: str, *parts: Indices) -> str:
    # The rows themselves are part of the id: whatever reads a file differently gets another one.
    digest = hashlib.sha256(seed.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part.astype("<i8").tobytes())
    return f"split-{VERSION}-{digest.hexdigest()[:24]}"
