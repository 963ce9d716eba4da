"""Single models of AutoGluon: trees, linear models and neural networks, on the raw table's columns."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from handlers.attribution.tree_shap import TreesPart, read_trees
from handlers.attribution.values import NotReadable, Part

from .linear import linear_part
from .neural import neural_part
from .transformed import Transformed, as_numbers


def leaf_part(leaf: Any, transformed: Transformed) -> Part:
    """A model that predicts by itself, taken apart.

    Raises:
        NotReadable: it can only be asked.
    """
    readers: dict[str, Callable[[Any, Transformed], Part]] = {
        "LR": linear_part,
        "NN_TORCH": neural_part,
        "GBM": _lightgbm,
        "XGB": _xgboost,
        "CAT": _trees,
        "RF": _trees,
        "XT": _trees,
    }
    family = getattr(leaf, "ag_key", None)
    if family not in readers:
        raise NotReadable(f"nothing is known of models of the kind {type(leaf).__name__}")
    return readers[family](leaf, transformed)


def columns_of(leaf: Any) -> list[str]:
    """The columns that a leaf makes use of, in its order."""
    aligned = getattr(leaf, "_features_internal_to_align", None)
    return list(leaf.features if aligned is None else aligned)


def _trees(leaf: Any, transformed: Transformed) -> Part:
    def encode(X: pd.DataFrame) -> np.ndarray[Any, Any]:
        made = leaf.preprocess(transformed(X))
        return as_numbers(made) if isinstance(made, pd.DataFrame) else np.asarray(made)

    return _part(leaf, transformed, encode, columns_of(leaf))


def _lightgbm(leaf: Any, transformed: Transformed) -> Part:
    # It knows its columns by names without odd characters, and categories by their places in lists of its own.
    categories = getattr(leaf.model, "pandas_categorical", None) or ()
    names = dict(zip((leaf._features_internal_map or {}).values(), leaf._features_internal_map or {}, strict=True))

    def encode(X: pd.DataFrame) -> np.ndarray[Any, Any]:
        return as_numbers(leaf.preprocess(transformed(X)), categories)

    return _part(leaf, transformed, encode, [names.get(name, name) for name in columns_of(leaf)])


def _xgboost(leaf: Any, transformed: Transformed) -> Part:
    if not leaf._ohe:
        raise NotReadable("its categories are not shown one column each")
    made = leaf._ohe_generator

    def encode(X: pd.DataFrame) -> np.ndarray[Any, Any]:
        rows = sparse.csr_matrix(leaf.preprocess(transformed(X)))
        # What a sparse table does not hold, zeros, is missing to it.
        dense = np.full(rows.shape, np.nan)
        at = rows.tocoo()
        dense[at.row, at.col] = np.where(at.data == 0, np.nan, at.data)
        return dense

    widths = [len(labels) for labels in made.labels.values()]
    names = [name for name, width in zip(made.cat_cols, widths, strict=True) for _ in range(width)]
    return _part(leaf, transformed, encode, [*names, *made.other_cols])


def _part(
    leaf: Any,
    transformed: Transformed,
    encode: Callable[[pd.DataFrame], np.ndarray[Any, Any]],
    names: Sequence[str],
) -> Part:
    return TreesPart(transformed.features, read_trees(leaf.model), encode, transformed.owners(names))
