"""Bins that hide single rows: round edges that are no row's value, and none with fewer than five rows."""

import math
from typing import Any

import numpy as np

from handlers.metrics import Floats, Indices

#: A bin with fewer rows joins a neighbour, or only tells that it has some.
FEWEST = 5
_LARGEST = 1e100
_FENCE = 4  # interquartile ranges: what lies further out counts in the outermost bin
_Z = 1.959964


def merged(counts: Indices) -> list[tuple[int, int]]:
    """Runs [begin, end) of neighbouring bins, each with at least FEWEST rows; all rows are in one of them.

    The smallest run joins the smaller of its neighbours until none is too small: peaks keep their shape. With
    fewer than FEWEST rows in all there is no run.
    """
    if counts.sum() < FEWEST:
        return []
    runs = [[int(place), int(place) + 1, int(counts[place])] for place in np.flatnonzero(counts)]
    while min(run[2] for run in runs) < FEWEST:
        small = min(range(len(runs)), key=lambda place: runs[place][2])
        beside = [place for place in (small - 1, small + 1) if 0 <= place < len(runs)]
        first, second = sorted((small, min(beside, key=lambda place: runs[place][2])))
        runs[first : second + 1] = [[runs[first][0], runs[second][1], runs[first][2] + runs[second][2]]]
    return [(begin, end) for begin, end, _ in runs]


def in_range(values: np.ndarray[Any, Any]) -> Floats:
    """Numbers that can be drawn: a picture of 1e300 overflows."""
    return np.clip(np.asarray(values, dtype=np.float64), -_LARGEST, _LARGEST)


def round_edges(values: Floats, about: int) -> Floats:
    """About that many bins of one round width around the values, so that neither end is the smallest or largest.

    Far outliers do not stretch it: see `place`.
    """
    low, high = float(values.min()), float(values.max())
    first, third = np.percentile(values, [25, 75])
    if third > first:
        low, high = max(low, first - _FENCE * (third - first)), min(high, third + _FENCE * (third - first))
    step = round_step(_span(low, high) / about)
    begin, end = math.floor(low / step), math.ceil(high / step)
    begin -= math.isclose(begin * step, low, rel_tol=1e-9, abs_tol=1e-9 * step)
    end += math.isclose(end * step, high, rel_tol=1e-9, abs_tol=1e-9 * step)
    return np.round(np.arange(begin, end + 1) * step, decimals(step) + 1)


def _span(low: float, high: float) -> float:
    """Of values that are all the same their size: bins around it must not be so narrow that they tell it."""
    size = max(abs(low), abs(high))
    for span in (high - low, size):
        if span > max(1e-9 * size, 1 / _LARGEST):
            return span
    return 1.0


def round_step(raw: float) -> float:
    """The next larger of 1, 2, 2.5, 5 and 10 times a power of ten."""
    size = 10.0 ** math.floor(math.log10(raw))
    return next(factor * size for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * size >= raw * (1 - 1e-9))


def decimals(step: float) -> int:
    """How many places after the point the power of ten in `step` has; negative for tens and more."""
    return -math.floor(math.log10(step) + 1e-9)


def place(values: Floats, edges: Floats) -> Indices:
    """The bin of each value; what lies outside counts in the outermost bin."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2).astype(np.int64)


def lies_beyond(values: Floats, edges: Floats) -> str:
    """What to say of outliers, if there are any."""
    outside = (values < edges[0]) | (values > edges[-1])
    return ", outliers in outermost bins" if outside.any() else ""


def coarse(value: float, edges: Floats) -> float:
    """Rounded to a tenth of a bin: a mean of equal rows does not give their value away."""
    tenth = float(edges[1] - edges[0]) / 10
    return float(round(round(value / tenth) * tenth, decimals(tenth) + 2))


def share_interval(hits: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share. Source: Wilson (1927)."""
    share, z2 = hits / rows, _Z**2
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = _Z / (1 + z2 / rows) * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
