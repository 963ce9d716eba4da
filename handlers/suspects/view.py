"""The training rows as plain arrays: numbers side by side, everything else as codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from handlers.datasets.problem import Problem
from handlers.splits import Indices

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Cells that are looked at; of larger tables evenly many rows.
MOST_CELLS = 4_000_000
_MOST_ROWS = 5000
_FEWEST_ROWS = 500
_BLOCK = 500_000


@dataclass(frozen=True, slots=True)
class View:
    """m training rows, shuffled by a fixed seed, so that equal values stand in no order.

    `values`: (m, p) float64; of text and categories the codes, -1 for gaps made NaN. `numeric`: which columns are
    numbers, booleans or `dates`. `places`: the rows' positions in the problem. `y`: (m,).
    """

    names: list[str]
    values: Floats
    numeric: np.ndarray[Any, np.dtype[np.bool_]]
    dates: np.ndarray[Any, np.dtype[np.bool_]]
    places: Indices
    y: np.ndarray[Any, Any]

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """The first column of each block of columns, and the block: small enough for the work arrays of a sort."""
        step = max(1, _BLOCK // max(1, len(self.values)))
        for start in range(0, self.values.shape[1], step):
            yield start, self.values[:, start : start + step]


def view_of(problem: Problem, train: Indices) -> View:
    """Looks at the training rows `train` of a problem, at most 5,000 of them."""
    p = problem.X.shape[1]
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, MOST_CELLS // max(1, p)))
    chosen = train[np.unique(np.linspace(0, len(train) - 1, min(len(train), most)).astype(int))]
    places = np.random.default_rng(0).permutation(chosen)
    X = problem.X.iloc[places]
    is_plain = np.array([types.is_numeric_dtype(dtype) and not _is_nullable(dtype) for dtype in X.dtypes], dtype=bool)
    values = np.empty(X.shape)
    if is_plain.any():
        values[:, is_plain] = X.iloc[:, np.flatnonzero(is_plain)].to_numpy(dtype=np.float64)
    numeric = is_plain.copy()
    for place in np.flatnonzero(~is_plain).tolist():
        values[:, place], numeric[place] = _column(X.iloc[:, place])
    values[np.isinf(values)] = np.nan
    dates = np.array([types.is_datetime64_any_dtype(dtype) for dtype in X.dtypes], dtype=bool)
    return View([str(name) for name in X.columns], values, numeric, dates, places, problem.y[places])


def _is_nullable(dtype: Any) -> bool:
    return bool(types.is_extension_array_dtype(dtype) or types.is_complex_dtype(dtype))


def _column(column: "pd.Series[Any]") -> tuple[Floats, bool]:
    if types.is_datetime64_any_dtype(column.dtype):
        return np.where(column.isna(), np.nan, column.astype("int64").to_numpy(dtype=np.float64)), True
    if types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), True
    codes = pd.factorize(column.astype(str).where(column.notna()))[0].astype(np.float64)
    return np.where(codes < 0, np.nan, codes), False
