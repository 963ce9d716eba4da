"""Rows that stand in the data twice."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_BLOCK = 2_000_000
_MIX = np.uint64(0xD6E8FEB86659FD93)


def row_hashes(X: pd.DataFrame) -> Hashes:
    """(n,): equal for rows with equal cells; gaps are equal, and so are 0.0 and -0.0."""
    n, p = X.shape
    hashes = np.zeros(n, dtype=np.uint64)
    factors = np.random.default_rng(0).integers(0, 2**63, p, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    is_plain = np.array([isinstance(d, np.dtype) and d.kind in "fiub" for d in X.dtypes], dtype=bool)
    plain = np.flatnonzero(is_plain)
    step = max(1, _BLOCK // max(1, n))
    for start in range(0, len(plain), step):
        places = plain[start : start + step]
        hashes += _spread(X.iloc[:, places].to_numpy(dtype=np.float64)) @ factors[places]
    for place in np.flatnonzero(~is_plain).tolist():
        hashes += _spread(_codes(X.iloc[:, place])) * factors[place]
    return hashes


def _spread(values: np.ndarray[Any, np.dtype[np.float64]]) -> Hashes:
    bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(32))) * _MIX
    return np.asarray(bits ^ (bits >> np.uint64(29)))


def _codes(column: "pd.Series[Any]") -> np.ndarray[Any, np.dtype[np.float64]]:
    text = types.is_object_dtype(column.dtype)
    return pd.factorize(column.astype(str).where(column.notna()) if text else column)[0].astype(np.float64)
