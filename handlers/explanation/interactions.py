"""Which other feature decides most about what a top feature's value is worth.

Where a model only adds its features up, samples with the same value of a feature have the same Shapley value for it.
What varies between them comes from others. Samples are cut into ranges of the feature; within each, its Shapley values
are regressed on the ranks of another feature, with a slope of its own for each range. The share of variance that this
explains is the strength; an F test, corrected for all pairs looked at (Bonferroni), says whether chance explains as
much. It is the idea of `shap.utils.approximate_interactions` (Lundberg), which sums correlations within ranges, with
a test beside it: among many features some other one always comes out first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from scipy.special import fdtrc
from scipy.stats import rankdata

from handlers.attribution.values import Floats
from handlers.splits import Indices

#: Features whose partner is looked for, and those among which it is: the most important ones.
N_TOP, N_PARTNERS = 10, 100
_ROWS_PER_RANGE, _MOST_RANGES = 15, 6
_MOST_BY_CHANCE = 0.01
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Interaction:
    """`feature` and its `partner` by their places. `strength`: the share, 0 to 1, of what the feature alone leaves."""

    feature: int
    partner: int
    strength: float


def interactions(values: Floats, table: pd.DataFrame, order: Indices, by_output: Floats) -> list[Interaction]:
    """The strongest partner of each top feature that has one beyond chance.

    Args:
        values: (n, p, c) Shapley values; a feature is looked at for the output it moves most.
        table: (n, p), the samples' own cells.
        order: (p,) features, most important first; `by_output` (p, c) how important for each output.
    """
    top, partners = order[:N_TOP], order[:N_PARTNERS]
    if len(table) < 2 * _ROWS_PER_RANGE or len(partners) < 2:
        return []
    ranks = np.column_stack([_ranks(table.iloc[:, place]) for place in partners])
    found = []
    for at, feature in enumerate(top):
        worth = values[:, feature, int(by_output[feature].argmax())]
        strengths, chances = _strengths(worth, ranks[:, at], ranks)
        strengths[at], chances[at] = 0.0, 1.0
        best = int(strengths.argmax())
        if chances[best] * len(top) * (len(partners) - 1) < _MOST_BY_CHANCE:
            found.append(Interaction(int(feature), int(partners[best]), float(strengths[best])))
    return found


def _ranks(column: "pd.Series[Any]") -> Floats:
    """(n,): ranks of numbers, gaps in the middle; of words, the ranks of how they sort."""
    if types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype):
        codes = column.rank(method="dense").to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        codes = pd.factorize(column.astype(str).where(column.notna()), sort=True)[0].astype(np.float64)
        codes[codes < 0] = np.nan
    known = np.isfinite(codes)
    codes[~known] = np.median(codes[known]) if known.any() else 0.0
    return np.asarray(rankdata(codes), dtype=np.float64)


def _strengths(worth: Floats, own: Floats, ranks: Floats) -> tuple[Floats, Floats]:
    """Of each candidate (n, k) the share of the variance within ranges that it explains, and how likely by chance."""
    ranges = _ranges(own)
    count = int(ranges.max()) + 1
    rest, explained = 0.0, np.zeros(ranks.shape[1])
    for number in range(count):
        inside = ranges == number
        around = worth[inside] - worth[inside].mean()
        others = ranks[inside] - ranks[inside].mean(axis=0)
        # What follows from the feature's own place within the range is no interaction.
        around, others = _beside(own[inside], around), _beside(own[inside], others)
        spread = (others**2).sum(axis=0)
        rest += float((around**2).sum())
        explained += np.divide((around @ others) ** 2, spread, out=np.zeros(len(spread)), where=spread > 1e-9)
    if rest <= _NOTHING * max(_NOTHING, float((worth**2).sum())):
        return np.zeros(ranks.shape[1]), np.ones(ranks.shape[1])
    share = np.clip(explained / rest, 0.0, 1.0 - 1e-15)
    freedom = max(1, len(worth) - 3 * count)
    return share, np.asarray(fdtrc(count, freedom, share / count * freedom / (1 - share)))


def _ranges(own: Floats) -> Indices:
    count = int(np.clip(len(own) // _ROWS_PER_RANGE, 2, _MOST_RANGES))
    edges = np.quantile(own, np.arange(1, count) / count)
    return np.asarray(np.unique(np.digitize(own, np.unique(edges)), return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _beside(own: Floats, values: Floats) -> Floats:
    """`values`, centred, without what is a straight line of `own`."""
    line = own - own.mean()
    size = float(line @ line)
    if size <= _NOTHING:
        return values
    slopes = line @ values / size
    return np.asarray(values - np.multiply.outer(line, slopes))


def partners(found: Sequence[Interaction]) -> dict[int, int]:
    """Feature → partner, by their places."""
    return {one.feature: one.partner for one in found}
