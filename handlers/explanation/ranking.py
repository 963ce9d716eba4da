"""Which features matter, by the mean size of their values, and how surely this is known of other samples.

Intervals are Student's t over samples. Samples of one group are one unit, and the mean is the ratio of the groups'
sums (Cochran 1977, «Sampling Techniques», chapter 6): few patients know little, however many samples each gave.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from handlers.attribution.values import Floats
from handlers.splits import Indices
from handlers.units import units_of

_UPPER = 0.975
#: Cells looked at at a time: 64 MB, whatever the number of features.
_CHUNK = 8_000_000


@dataclass(frozen=True, slots=True)
class Ranking:
    """`importance` (p,): the mean absolute value over samples and outputs; `low` and `high` its 95 % interval.

    `by_output` (p, c): the same for each output alone. `order` (p,): features, largest first. With one unit alone
    nothing is known of others: `low` and `high` are not-a-number.
    """

    importance: Floats
    low: Floats
    high: Floats
    by_output: Floats
    order: Indices

    def drawable(self) -> Floats:
        """(p, 2): the intervals, without width where nothing is known."""
        known = np.isfinite(self.low)
        ends = (np.where(known, end, self.importance) for end in (self.low, self.high))
        return np.column_stack(list(ends))


def rank(values: Floats, groups: np.ndarray[Any, Any] | None = None) -> Ranking:
    """Ranks p features by their values (n, p, c); `groups` (n,) labels, or every sample is a unit of its own."""
    n, p, c = values.shape
    units = units_of(groups, n)
    importance, spread, by_output = np.zeros(p), np.zeros(p), np.zeros((p, c))
    step = max(1, _CHUNK // (n * c))
    for begin in range(0, p, step):
        sizes = np.abs(values[:, begin : begin + step])
        by_output[begin : begin + step] = sizes.mean(axis=0)
        importance[begin : begin + step], spread[begin : begin + step] = _mean(sizes.mean(axis=2), units)
    low, high = np.maximum(0.0, importance - spread), importance + spread
    # Stable: equals stay in the order of the columns.
    return Ranking(importance, low, high, by_output, np.argsort(-importance, kind="stable"))


def _mean(sizes: Floats, units: Indices) -> tuple[Floats, Floats]:
    """The means of (n, q) over rows, and half the widths of their intervals, (q,) each."""
    mean, count = sizes.mean(axis=0), int(units.max()) + 1
    if count < 2:
        return mean, np.full(len(mean), np.nan)
    sums = np.zeros((count, sizes.shape[1]))
    np.add.at(sums, units, sizes - mean)
    error = np.sqrt((sums**2).sum(axis=0) * count / (count - 1)) / len(sizes)
    return mean, error * stdtrit(count - 1, _UPPER)
