"""A table as LIME sees it: each cell by the quarter of its column it is in, or by its word.

As `lime.lime_tabular.LimeTabularExplainer` does it (Ribeiro, Singh and Guestrin 2016): numbers are cut at the quartiles
of training rows. Gaps are a kind of their own, as are words; what no training row has is like nothing else.
"""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from handlers.attribution.values import Floats

Bins = np.ndarray[Any, np.dtype[np.int16]]

_GAP = 4


class Binning:
    """Fitted on training rows; tells of any table with the same p columns which bin each cell is in."""

    def __init__(self, training: pd.DataFrame) -> None:
        self._is_number = np.array([is_measured(dtype) for dtype in training.dtypes], dtype=bool)
        self._edges = _quartiles(_numbers(training.loc[:, self._is_number]))
        self._is_word: list[int] = np.flatnonzero(~self._is_number).tolist()
        self._words = [pd.Index(_words(training.iloc[:, place]).dropna().unique()) for place in self._is_word]

    def of(self, table: pd.DataFrame) -> Bins:
        """(n, p), column after column in memory."""
        bins = np.empty(table.shape, dtype=np.int16, order="F")
        numbers = _numbers(table.loc[:, self._is_number])
        with np.errstate(invalid="ignore"):
            below = sum(((numbers > edge).astype(np.int16) for edge in self._edges), np.zeros(numbers.shape, np.int16))
        bins[:, self._is_number] = np.where(np.isnan(numbers), _GAP, below)
        for place, known in zip(self._is_word, self._words, strict=True):
            column = table.iloc[:, place]
            codes = known.get_indexer(pd.Index(_words(column)))
            # A gap is like another gap.
            bins[:, place] = np.where(column.isna(), len(known), codes)
        return bins


def is_measured(dtype: Any) -> bool:
    """Numbers and dates; truth values have two bins as words have theirs."""
    return bool(types.is_numeric_dtype(dtype) or types.is_datetime64_any_dtype(dtype)) and not types.is_bool_dtype(
        dtype
    )


def _numbers(table: pd.DataFrame) -> Floats:
    dates = [place for place, dtype in enumerate(table.dtypes) if types.is_datetime64_any_dtype(dtype)]
    if not dates:
        return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))
    columns = [_column(table.iloc[:, place]) for place in range(table.shape[1])]
    return np.column_stack(columns)


def _column(column: "pd.Series[Any]") -> Floats:
    if types.is_datetime64_any_dtype(column.dtype):
        days = (pd.to_datetime(column, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1D")
        return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _words(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column.astype(object).where(column.notna()).map(str, na_action="ignore").astype(object)


def _quartiles(numbers: Floats) -> Floats:
    """(3, q) of each column's known values, between two of them as numpy's percentiles are; 0 where none is known."""
    ordered = np.sort(numbers, axis=0)  # gaps last
    counts = (~np.isnan(ordered)).sum(axis=0)
    places = np.multiply.outer(np.array([0.25, 0.5, 0.75]), np.maximum(0, counts - 1))
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(0, counts - 1))
    if not len(ordered):
        return np.zeros(places.shape)
    low, high = np.take_along_axis(ordered, below, axis=0), np.take_along_axis(ordered, above, axis=0)
    with np.errstate(invalid="ignore"):
        edges = np.where(low == high, low, low + (high - low) * (places - below))
    return np.where(counts > 0, edges, 0.0)
