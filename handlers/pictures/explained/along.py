"""What a feature does along its values: means over bins with round edges and at least five samples each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from handlers.metrics import Floats, Indices
from handlers.pictures.bins import FEWEST, in_range, place, round_edges, round_step
from handlers.pictures.labels import clean

from .explained import Explained
from .grid import rounded_to
from .levels import as_numbers

_FINE, _BINS, _STEPS = 24, 9, 100
_CATEGORIES = 8
_ORDINALS = ("most common", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Bin:
    """`mean` and `deviation` of what the feature adds; `low`, `high`: the mean where the other feature is so."""

    begin: float
    end: float
    rows: int
    mean: float
    deviation: float
    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Along:
    bins: list[Bin]
    #: What means are rounded to.
    step: float
    unknown: int


def along(explained: Explained, feature: int, output: int, other: int | None, include_values: bool) -> Along | None:
    """None where fewer than five samples have a value."""
    column = explained.table.iloc[:, feature]
    values = explained.of(feature, output)
    numbers = as_numbers(column)
    groups = _categories(column, include_values) if numbers is None else _intervals(numbers)
    if not groups:
        return None
    halves = None if other is None else _halves(explained.table.iloc[:, other])
    span = float(values.max() - values.min())
    step = round_step(span / _STEPS) if span > 1e-100 else 1.0
    bins = [_bin(values, inside, halves, step, *bounds, label) for bounds, label, inside in groups]
    return Along(bins, step, explained.n - sum(one.rows for one in bins))


Group = tuple[tuple[float, float], str, Mask]


def _intervals(numbers: Floats) -> list[Group]:
    known = np.isfinite(numbers)
    if known.sum() < FEWEST:
        return []
    shown = in_range(numbers)
    edges = round_edges(shown[known], _FINE)
    where: Indices = np.where(known, place(np.where(known, shown, edges[0]), edges), -1)
    groups: list[Group] = []
    for begin, end in _joined(np.bincount(where[known], minlength=len(edges) - 1)):
        inside = (where >= begin) & (where < end)
        groups.append(((float(edges[begin]), float(edges[end])), "", inside))
    return groups


def _joined(counts: Indices) -> list[tuple[int, int]]:
    """Runs [begin, end) of about equally many samples, from left to right; too few at the end join the run before."""
    wanted = max(FEWEST, -(-int(counts.sum()) // _BINS))
    runs: list[list[int]] = []
    for at in np.flatnonzero(counts):
        if runs and runs[-1][2] < wanted:
            runs[-1][1:] = [int(at) + 1, runs[-1][2] + int(counts[at])]
        else:
            runs.append([int(at), int(at) + 1, int(counts[at])])
    if len(runs) > 1 and runs[-1][2] < FEWEST:
        last = runs.pop()
        runs[-1][1:] = [last[1], runs[-1][2] + last[2]]
    return [(begin, end) for begin, end, _ in runs]


def _categories(column: "pd.Series[Any]", include_values: bool) -> list[Group]:
    """By how common they are; what they are called is a cell's value."""
    texts = column.astype(object).where(column.notna())
    counts = texts.value_counts()
    common = [(value, count) for value, count in counts.items() if count >= FEWEST]
    common = sorted(common, key=lambda one: (-one[1], str(one[0])))[:_CATEGORIES]
    names = [clean(value) if include_values else _ORDINALS[at] for at, (value, _) in enumerate(common)]
    masks = [(texts == value).fillna(False).to_numpy(dtype=bool) for value, _ in common]
    rest = texts.notna().to_numpy(dtype=bool) & ~np.logical_or.reduce([np.zeros(len(texts), dtype=bool), *masks])
    if rest.sum() >= FEWEST:
        masks, names = [*masks, rest], [*names, "others"]
    bounds = [(float(at), float(at + 1)) for at in range(len(masks))]
    return list(zip(bounds, names, masks, strict=True))


def _halves(column: "pd.Series[Any]") -> tuple[Mask, Mask] | None:
    """Where the other feature is low and where it is high; None where it has no order or no two halves."""
    numbers = as_numbers(column)
    if numbers is None or not np.isfinite(numbers).any():
        return None
    known = np.isfinite(numbers)
    middle = float(np.median(numbers[known]))
    high = known & (numbers > middle)
    low = known & (numbers < middle) if (known & (numbers < middle)).sum() > high.sum() else known & ~high
    high = known & ~low
    return (low, high) if low.sum() >= FEWEST and high.sum() >= FEWEST else None


def _bin(
    values: Floats, inside: Mask, halves: tuple[Mask, Mask] | None, step: float, begin: float, end: float, label: str
) -> Bin:
    def mean(mask: Mask) -> float | None:
        return rounded_to(round(float(values[mask].mean()) / step), step) if mask.sum() >= FEWEST else None

    low, high = (None, None) if halves is None else (mean(inside & halves[0]), mean(inside & halves[1]))
    if halves is not None and any(0 < (inside & half).sum() < FEWEST for half in halves):
        low, high = None, None  # a few samples could be reckoned from the others and all
    deviation = rounded_to(round(float(values[inside].std()) / step), step)
    found = mean(inside)
    assert found is not None
    return Bin(begin, end, int(inside.sum()), found, deviation, low, high, label)
