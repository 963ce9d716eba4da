"""How high a cell is among the samples, by rank: up to five levels, none with fewer than five samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from handlers.metrics import Floats, Indices
from handlers.pictures.bins import merged

UNKNOWN = -1
_MOST = 5
_WORDS = {2: ("low", "high"), 3: ("low", "middle", "high"), 4: ("lowest", "low", "high", "highest")}
_FIVE = ("lowest", "low", "middle", "high", "highest")


@dataclass(frozen=True, slots=True)
class Levels:
    """`of`: (n,) from 0, or UNKNOWN where there is no value, no order, or too few samples to tell."""

    of: Indices
    count: int

    def place(self, level: int) -> int:
        """From 0 to 4, the lowest level at 0 and the highest at 4."""
        return round(level * (_MOST - 1) / (self.count - 1)) if level != UNKNOWN else UNKNOWN

    def word(self, sample: int) -> str:
        level = int(self.of[sample])
        return "" if level == UNKNOWN else _WORDS.get(self.count, _FIVE)[level]


def levels(column: "pd.Series[Any]") -> Levels:
    """Equal cells have the same level; a level that would hold fewer than five samples joins a neighbour."""
    numbers = as_numbers(column)
    nothing = Levels(np.full(len(column), UNKNOWN, dtype=np.int64), 0)
    if numbers is None:
        return nothing
    known = np.isfinite(numbers)
    if not known.any():
        return nothing
    ranks = pd.Series(numbers[known]).rank(method="average").to_numpy()
    low, high = float(ranks.min()), float(ranks.max())
    if high == low:
        return nothing
    # From the lowest group of equals to the highest: of a gene that is silent in most cells, the others are high.
    fine = np.minimum((ranks - low) / (high - low) * _MOST, _MOST - 1).astype(np.int64)
    runs = merged(np.bincount(fine, minlength=_MOST))
    if len(runs) < 2:
        return nothing
    found = nothing.of.copy()
    found[known] = np.searchsorted([begin for begin, _ in runs], fine, side="right") - 1
    return Levels(found, len(runs))


def as_numbers(column: "pd.Series[Any]") -> Floats | None:
    """(n,), not-a-number where there is none; nothing of text, which has no order."""
    if isinstance(column.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        return None
    if pd.api.types.is_complex_dtype(column.dtype):
        return None
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
