"""Twenty thousand columns: AutoGluon looks columns up in lists, for each of them anew. Here the lists look up at once.

Measured on 200 rows × 20,000 columns: its own bookkeeping took 22 s a model and 29 s before the first one.
"""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from pandas.api import types

#: Columns from which on a table of numbers is handed to the models as it is.
WIDE = 2000


class Names(list[str]):
    """A list of names that knows at once whether one is in it. It is not changed after it was made."""

    def __contains__(self, name: object) -> bool:
        if not hasattr(self, "_known"):
            self._known = frozenset(self)
        return name in self._known

    def __deepcopy__(self, memo: dict[int, Any]) -> "Names":
        return Names(self)

    def __reduce__(self) -> tuple[type[list[str]], tuple[list[str]]]:
        # What is pickled goes into the artifact, which must load where our code is not.
        return list, (list(self),)


def fit_options(X: pd.DataFrame) -> dict[str, Any]:
    """Arguments of `TabularPredictor.fit` for a table of very many numbers; none for any other table.

    The search for dates, texts and copies is left out: it takes time by the square of the columns.
    """
    from autogluon.common.features.feature_metadata import FeatureMetadata
    from autogluon.features.generators import IdentityFeatureGenerator

    if X.shape[1] < WIDE or not all(types.is_numeric_dtype(dtype) for dtype in X.dtypes):
        return {}
    known = FeatureMetadata({str(name): _raw_type(dtype) for name, dtype in X.dtypes.items()})
    return {
        "feature_generator": IdentityFeatureGenerator(feature_metadata_in=known),
        "_feature_generator_kwargs": None,
        "ag_args_fit": {"drop_unique": False},  # counts the values of every column, for every model
    }


@contextmanager
def quick_lookups() -> Iterator[None]:
    """While open, AutoGluon keeps its lists of columns as `Names`. It comes to the same, only sooner."""
    from autogluon.common.features import infer_types
    from autogluon.common.features.feature_metadata import FeatureMetadata

    find, look_into = FeatureMetadata.get_features, infer_types.get_types_special

    def get_types_special(column: "pd.Series[Any]") -> Any:
        # Only text can be a date or free text in disguise; for each column of numbers this was looked for as well.
        is_number = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
        return [] if is_number else look_into(column)

    def get_features(self: Any, *args: Any, **kwargs: Any) -> Names:
        return Names(find(self, *args, **kwargs))

    def keep_features(self: Any, features: list[str], inplace: bool = False) -> Any:
        known, kept = self.get_features(), Names(features)
        if strange := [name for name in kept if name not in known]:
            raise KeyError(f"no such features: {strange}")
        return self.remove_features(Names(name for name in known if name not in kept), inplace=inplace)

    def remove_features(self: Any, features: list[str], inplace: bool = False) -> Any:
        known, gone = self.get_features(), Names(features)
        if strange := [name for name in gone if name not in known]:
            raise KeyError(f"no such features: {strange}")
        metadata = self if inplace else copy.deepcopy(self)
        metadata._remove_features_from_type_map(d=metadata.type_map_raw, features=gone)
        metadata._remove_features_from_type_group_map(d=metadata.type_group_map_special, features=gone)
        return metadata

    with ExitStack() as patches:
        for method in (get_features, keep_features, remove_features):
            patches.enter_context(patch.object(FeatureMetadata, method.__name__, method))
        patches.enter_context(patch.object(infer_types, "get_types_special", get_types_special))
        # Puts together what is shown nowhere: the log is off.
        patches.enter_context(patch.object(FeatureMetadata, "print_feature_metadata_full", lambda *_, **__: ""))
        yield


def _raw_type(dtype: Any) -> str:
    if types.is_bool_dtype(dtype):
        return "bool"
    return "int" if types.is_integer_dtype(dtype) else "float"
