"""Columns that give the target away: alone they tell it nearly without an error.

- *Told*: the column has one value for each class, in every row (the target renamed, recoded, one indicator of it), or
  is missing in all rows of some classes and in none of the others.
- *Sorted*: put in the order of the column, the rows of each class stand together: at most one row in 200 is out of
  place. With as many changes of class as that, c among m rows, a column of noise is expected less than once in a
  thousand datasets of p columns. Equal values stand in random order, so that they sort nothing.
- *Grouped*: the class that most other rows with the same value have is the row's own, in 99 % of the rows of each
  class on average; three rows a value at least. No row speaks for itself, so rare values cannot overfit.
- For regressions: a rank or linear correlation of 0.999, or neighbours in the order of the column whose targets differ
  by less than 1/500 of the variance (von Neumann 1941), or groups of equal values that explain as much.

A real marker can sort two classes; it cannot hold one value for each. Only a column that is told, or whose classes lie
further apart than any of them is wide, while few columns do alike, is called the target in disguise.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .view import Floats, View

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

_OUT_OF_PLACE = 0.005
_BY_CHANCE = 1e-3
_ACCURACY = 0.99
_ROWS_PER_VALUE = 3
_CORRELATION = 0.999
_UNEXPLAINED = 0.002
_FEWEST_ROWS = 12
#: More columns than this share of all that sort the classes are what the data are like.
_USUAL = 0.02


@dataclass
class Giveaways:
    """Places of columns, of which each is named once, in its strongest list."""

    disguised: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    strong: list[int] = field(default_factory=list)


def giveaways(view: View, is_regression: bool) -> Giveaways:
    """What the columns of training rows tell of their target."""
    if len(view.y) < _FEWEST_ROWS:
        return Giveaways()
    return _of_numbers(view) if is_regression else _of_classes(view)


def _of_classes(view: View) -> Giveaways:
    labels = np.unique(view.y, return_inverse=True)[1].astype(np.int64)
    found = Giveaways()
    sorting: list[int] = []
    for start, block in view.blocks():
        told = start + np.flatnonzero(is_told(block, labels))
        gaps = start + np.flatnonzero(is_told(np.isnan(block).astype(float), labels))
        sorts, wide = _sorted_apart(block, labels, view.values.shape[1])
        found.missing += gaps.tolist()
        found.disguised += told.tolist()
        sorting += (start + np.flatnonzero(sorts)).tolist()
        found.strong += (start + np.flatnonzero(wide)).tolist()
    few = len(sorting) <= max(3, _USUAL * view.values.shape[1])
    certain = set(found.disguised) | (set(found.strong) if few else set())
    grouped = [place for place in range(view.values.shape[1]) if _may_group(view.values[:, place])]
    certain |= {place for place in grouped if grouped_accuracy(view.values[:, place], labels) >= _ACCURACY}
    certain -= set(found.missing)
    named = certain | set(found.missing)
    return Giveaways(sorted(certain), found.missing, [place for place in sorting if place not in named])


def _of_numbers(view: View) -> Giveaways:
    found: list[int] = []
    y = view.y.astype(float)
    for start, block in view.blocks():
        found += (start + np.flatnonzero(_follows(block, y))).tolist()
    grouped = [place for place in range(view.values.shape[1]) if place not in found]
    found += [place for place in grouped if _may_group(view.values[:, place]) and _explains(view.values[:, place], y)]
    return Giveaways(disguised=sorted(found))


def is_told(block: Floats, labels: Codes) -> Flags:
    """Which columns have one value (or gaps alone) in all rows of each class, and not the same in all classes."""
    same, firsts = np.ones(block.shape[1], dtype=bool), []
    for label in range(labels.max() + 1):
        rows = block[labels == label]
        same &= ((rows == rows[0]) | (np.isnan(rows) & np.isnan(rows[0]))).all(axis=0)
        firsts.append(rows[0])
    first = np.stack(firsts)
    differ = ((first != first[0]) & ~(np.isnan(first) & np.isnan(first[0]))).any(axis=0)
    return np.asarray(same & differ & (~np.isnan(first)).any(axis=0))


def _sorted_apart(block: Floats, labels: Codes, n_columns: int) -> tuple[Flags, Flags]:
    """Which columns sort the classes, and which with gaps between them that are wider than any class is."""
    order = np.argsort(block, axis=0, kind="stable")
    ordered = labels[order]
    change = ordered[1:] != ordered[:-1]
    sorts = is_sorted(change.sum(axis=0), labels, n_columns)
    wide = np.zeros(block.shape[1], dtype=bool)
    for place in np.flatnonzero(sorts).tolist():
        values = block[order[:, place], place]
        if np.isfinite(values).all():
            bounds = np.flatnonzero(change[:, place])
            starts, ends = np.append(0, bounds + 1), np.append(bounds, len(values) - 1)
            gaps, ranges = values[bounds + 1] - values[bounds], values[ends] - values[starts]
            wide[place] = len(bounds) == labels.max() and gaps.min() > ranges.max()
    return sorts, wide


def is_sorted(changes: Codes, labels: Codes, n_columns: int) -> Flags:
    """Whether so few changes of class along a column mean that it sorts them."""
    counts = np.bincount(labels)
    fewest = len(counts) - 1
    allowed = fewest + 2 * int(_OUT_OF_PLACE * len(labels))
    # Orders of the labels in which each class stands together, of all orders.
    orders = math.lgamma(len(counts) + 1) + sum(math.lgamma(c + 1) for c in counts) - math.lgamma(len(labels) + 1)
    if orders + math.log(max(1, n_columns)) > math.log(_BY_CHANCE):
        allowed = -1
    return np.asarray(changes <= allowed)


def _may_group(column: Floats) -> bool:
    known = column[~np.isnan(column)]
    return len(known) > 0 and 2 <= len(np.unique(known)) <= len(known) / _ROWS_PER_VALUE


def grouped_accuracy(column: Floats, labels: Codes) -> float:
    """Balanced accuracy of the commonest class among the *other* rows with the same value; gaps are a value."""
    codes = np.unique(column, return_inverse=True, equal_nan=True)[1]
    table = np.zeros((codes.max() + 1, labels.max() + 1))
    np.add.at(table, (codes, labels), 1)
    others = table[codes]
    own = others[np.arange(len(codes)), labels] - 1
    others[np.arange(len(codes)), labels] = -1
    right = own > others.max(axis=1)
    return float(np.mean([right[labels == label].mean() for label in range(labels.max() + 1)]))


def _follows(block: Floats, y: Floats) -> Flags:
    found = np.zeros(block.shape[1], dtype=bool)
    order = np.argsort(block, axis=0, kind="stable")
    ordered = y[order]
    variance = y.var()
    step = ((ordered[1:] - ordered[:-1]) ** 2).mean(axis=0) / 2
    likely = step <= 0.05 * variance
    for place in np.flatnonzero(likely).tolist():
        known = np.isfinite(block[:, place])
        if known.sum() >= max(_FEWEST_ROWS, len(y) / 2):
            values, target = block[known, place], y[known]
            best = max(abs(_correlation(values, target)), abs(_correlation(_ranks(values), _ranks(target))))
            # Neighbours of few rows differ, however well they are sorted.
            found[place] = best >= _CORRELATION or (step[place] <= _UNEXPLAINED * variance and known.sum() >= 50)
    return found


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 and math.isfinite(size) else 0.0


def _ranks(values: Floats) -> Floats:
    """Ranks; equal values share their mean rank."""
    codes, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[codes], dtype=np.float64)


def _explains(column: Floats, y: Floats) -> bool:
    """Whether the mean target of the other rows with the same value leaves less than 1/500 of the variance."""
    codes = np.unique(column, return_inverse=True, equal_nan=True)[1]
    counts, sums = np.bincount(codes), np.bincount(codes, weights=y)
    alone = counts[codes] < 2
    others = (sums[codes] - y) / np.maximum(counts[codes] - 1, 1)
    left = np.where(alone, y - y.mean(), y - others)
    return bool((left**2).mean() <= _UNEXPLAINED * y.var())
