"""From a table as it is to the columns that AutoGluon's models are given, and which raw column each was made from."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from handlers.attribution.values import NotReadable

Ints = np.ndarray[Any, np.dtype[np.int64]]

#: Tables that are remembered: the samples, and the background.
_KEPT = 2
_LARGEST_KEPT = 20_000_000


class Transformed:
    """Calls a predictor's feature generator, once for all of its models.

    `features`: the raw columns, p of them.
    """

    def __init__(self, predictor: Any, features: Sequence[str]) -> None:
        self._predictor, self.features = predictor, list(features)
        self._owners = _owners(predictor, self.features)
        self._kept: OrderedDict[bytes, pd.DataFrame] = OrderedDict()

    def __call__(self, X: pd.DataFrame) -> pd.DataFrame:
        """The models' columns for the n rows of `X`."""
        if X.size > _LARGEST_KEPT:
            return self._made(X)
        key = _key(X)
        if key not in self._kept:
            self._kept[key] = self._made(X)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _made(self, X: pd.DataFrame) -> pd.DataFrame:
        made: pd.DataFrame = self._predictor.transform_features(X.reset_index(drop=True))
        return made

    def owners(self, names: Sequence[str]) -> Ints:
        """For each of the models' columns the place of its raw column.

        Raises:
            NotReadable: one is made from several.
        """
        if strange := [name for name in names if name not in self._owners]:
            raise NotReadable(f"{len(strange)} columns of the model are made from more than one of the table's")
        return np.array([self._owners[name] for name in names], dtype=np.int64)


def _owners(predictor: Any, features: Sequence[str]) -> dict[str, int]:
    places = {name: place for place, name in enumerate(features)}
    made = predictor._learner.feature_generator.features_out
    owners = {name: places[name] for name in made if name in places}
    if derived := set(made) - set(owners):
        makers: dict[str, set[str]] = {name: set() for name in derived}
        for name, some in predictor._learner.feature_generator.get_feature_links().items():
            for one in derived.intersection(some):
                makers[one].add(name)
        owners |= {name: places[next(iter(by))] for name, by in makers.items() if len(by) == 1 and by <= set(places)}
    return owners


def _key(X: pd.DataFrame) -> bytes:
    digest = hashlib.sha256(repr((X.shape, list(X.columns))).encode())
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in X.dtypes):
        digest.update(repr(X.dtypes.tolist()).encode())
        digest.update(np.ascontiguousarray(X.to_numpy()).tobytes())
    else:
        for _, column in X.items():
            digest.update(str(column.dtype).encode())
            digest.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    return digest.digest()


def as_numbers(table: pd.DataFrame, categories: Sequence[Sequence[Any]] = ()) -> np.ndarray[Any, Any]:
    """(n, e): categories become their places in `categories`, one list for each such column, gaps not-a-number."""
    if not any(isinstance(dtype, pd.CategoricalDtype) for dtype in table.dtypes):
        return table.to_numpy(dtype=np.float64, na_value=np.nan)
    found, lists = np.empty(table.shape), iter(categories)
    for place, (_, column) in enumerate(table.items()):
        if isinstance(column.dtype, pd.CategoricalDtype):
            known = next(lists, None)
            codes = (column if known is None else column.cat.set_categories(list(known))).cat.codes.to_numpy()
            found[:, place] = np.where(codes < 0, np.nan, codes)
        else:
            assert types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype)
            found[:, place] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return found
