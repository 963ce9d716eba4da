"""A table as numbers: gaps take the median, dates become days, categories one column each.

What it keeps of the training rows are the middles of columns, and categories that stand in two rows or more.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

Floats = np.ndarray[Any, np.dtype[np.float64]]

NUMBER, DATE, TEXT = "number", "date", "text"
_MOST_CATEGORIES = 20
_MOST_NAMES = 5
_LARGEST = 1e100


class TableEncoder:
    """Fitted on training rows; later tables are read by the names of their columns, in any order.

    `columns`: those it makes use of. `names`: of the p columns of numbers that it makes, numbers and dates first,
    categories as «column=category».
    """

    columns: list[str]
    names: list[str]

    def fit(self, X: pd.DataFrame) -> "TableEncoder":
        """Learns the middles and categories of X (n, any).

        Raises:
            ValueError: no column can be used, or two have the same name.
        """
        columns = [str(name) for name in X.columns]
        if len(set(columns)) < len(columns):
            raise ValueError("the table has columns of the same name")
        kinds = [_kind(dtype) for dtype in X.dtypes]
        texts = {place: _commonest(X.iloc[:, place]) for place, kind in enumerate(kinds) if kind == TEXT}
        # Text without categories, such as ids, is of no use: later tables need not have it.
        used = [place for place in range(len(kinds)) if texts.get(place, True)]
        self._settle([columns[i] for i in used], [kinds[i] for i in used], np.zeros(0), [*filter(None, texts.values())])
        self._middles = _middles(self._numbers(X if len(used) == len(columns) else X.iloc[:, used]))
        if not self.names:
            raise ValueError("no column can be used")
        return self

    def transform(self, X: pd.DataFrame) -> Floats:
        """(n, p) without gaps. Columns that were not fitted are passed over, categories not shown then are zeros.

        Raises:
            ValueError: a column is missing or there twice, or holds text where numbers or dates were.
        """
        table = self._own_columns(X)
        numbers = self._numbers(table)
        numbers = np.where(np.isfinite(numbers), numbers, self._middles)
        shown = [_shown(table.iloc[:, place], self._categories[i]) for i, place in enumerate(self._texts)]
        # Beyond these, means and deviations of a column would be infinite.
        return np.clip(np.hstack([numbers, *shown]).astype(np.float64, copy=False), -_LARGEST, _LARGEST)

    def to_dict(self) -> dict[str, Any]:
        """All that was learned, as JSON data."""
        return {
            "columns": self.columns,
            "kinds": self._kinds,
            "middles": self._middles.tolist(),
            "categories": self._categories,
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> "TableEncoder":
        """The encoder that `to_dict` told of.

        Raises:
            ValueError: this is no such thing.
        """
        try:
            columns, kinds, categories = list(told["columns"]), list(told["kinds"]), list(map(list, told["categories"]))
            middles = np.array(told["middles"], dtype=np.float64)
        except (KeyError, TypeError) as error:
            raise ValueError("not what a table encoder tells of itself") from error
        encoder = cls()
        encoder._settle(columns, kinds, middles, categories)
        shapes = ((len(columns),), (len(encoder._measured),), (len(encoder._texts),))
        if shapes != ((len(kinds),), middles.shape, (len(categories),)) or not set(kinds) <= {NUMBER, DATE, TEXT}:
            raise ValueError("what the table encoder tells of itself does not fit together")
        return encoder

    def _settle(self, columns: list[str], kinds: list[str], middles: Floats, categories: list[list[str]]) -> None:
        self.columns, self._kinds = columns, kinds
        self._middles, self._categories = middles, categories
        self._measured = [place for place, kind in enumerate(kinds) if kind != TEXT]
        self._texts = [place for place, kind in enumerate(kinds) if kind == TEXT]
        made = [
            f"{columns[place]}={category}"
            for place, some in zip(self._texts, categories, strict=False)
            for category in some
        ]
        self.names = [*(columns[place] for place in self._measured), *made]

    def _own_columns(self, X: pd.DataFrame) -> pd.DataFrame:
        there = [str(name) for name in X.columns]
        if there == self.columns:
            return X
        places = pd.Index(there)
        if missing := pd.Index(self.columns).difference(places, sort=False).tolist():
            raise ValueError(f"the table lacks {len(missing)} of the {len(self.columns)} columns: {_names(missing)}")
        own = places.isin(self.columns)
        if twice := places[own][places[own].duplicated()].unique().tolist():
            raise ValueError(f"the table has more than one column called {_names(twice)}")
        return pd.DataFrame(X.take(places.get_indexer_for(pd.Index(self.columns)).tolist(), axis="columns"))

    def _numbers(self, X: pd.DataFrame) -> Floats:
        """(n, m) of numbers and dates, gaps as not-a-number."""
        numbers = np.empty((len(X), len(self._measured)))
        is_number = [
            kind == NUMBER and types.is_numeric_dtype(dtype) for kind, dtype in zip(self._kinds, X.dtypes, strict=True)
        ]
        is_plain = np.array(is_number, dtype=bool)[self._measured]
        plain = np.array(self._measured, dtype=int)[is_plain]
        numbers[:, is_plain] = X.iloc[:, plain].to_numpy(dtype=np.float64, na_value=np.nan)
        for at in np.flatnonzero(~is_plain):
            place = self._measured[at]
            numbers[:, at] = _measured(X.iloc[:, place], self.columns[place], self._kinds[place])
        return numbers


def _kind(dtype: Any) -> str:
    if types.is_numeric_dtype(dtype):
        return NUMBER
    return DATE if types.is_datetime64_any_dtype(dtype) else TEXT


def _middles(numbers: Floats) -> Floats:
    """Of the finite values in each column the mean of the two or three in the middle; 0 where there are fewer.

    Not the median: of an odd number of rows that is a row's own value, which no artifact may hold.
    """
    middles = np.zeros(numbers.shape[1])
    # Gaps last: numpy's own way around gaps goes column by column.
    ordered = np.sort(np.where(np.isfinite(numbers), numbers, np.nan), axis=0)
    counts = np.isfinite(ordered).sum(axis=0)
    for count in np.unique(counts[counts > 1]):
        chosen = counts == count
        middles[chosen] = ordered[(count - 1) // 2 - count % 2 : count // 2 + count % 2 + 1, chosen].mean(axis=0)
    return middles


def _measured(values: "pd.Series[Any]", name: str, kind: str) -> Floats:
    """Numbers, or days since 1970, also where they are written as text: dates by ISO 8601, which nobody misreads."""
    try:
        if kind == NUMBER:
            return np.asarray(pd.to_numeric(_plain(values)), dtype=np.float64)
        if types.is_numeric_dtype(values.dtype) and values.notna().any():
            raise ValueError("numbers are no dates")
        days = (pd.to_datetime(values, utc=True, format="ISO8601") - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1D")
        return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    except (ValueError, TypeError):
        # Without the cause: it would quote a cell.
        raise ValueError(f"the column {name!r} holds something else than {kind}s") from None


def _plain(values: "pd.Series[Any]") -> "pd.Series[Any]":
    return values.astype(object).where(values.notna(), np.nan)


def _commonest(values: "pd.Series[Any]") -> list[str]:
    counts = _words(values.dropna()).value_counts()
    # A value seen once is an id or a date, and tells nothing about other rows.
    return [str(word) for word in counts[counts > 1].index[:_MOST_CATEGORIES]]


def _shown(values: "pd.Series[Any]", categories: list[str]) -> np.ndarray[Any, Any]:
    """(n, k): which of the k categories each row shows."""
    codes = pd.Index(categories, dtype=object).get_indexer(pd.Index(_words(values).to_numpy(), dtype=object))
    return np.asarray(np.where(values.isna(), -1, codes)[:, None] == np.arange(len(categories)))


def _words(values: "pd.Series[Any]") -> "pd.Series[Any]":
    return pd.Series([_word(value) for value in values], dtype=object)


def _word(value: Any) -> str:
    """A whole number reads the same when a gap beside it has made it a float."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _names(names: Sequence[str]) -> str:
    told = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    return told if len(names) <= _MOST_NAMES else f"{told} and {len(names) - _MOST_NAMES} more"
