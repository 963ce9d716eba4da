"""Linear models: AutoGluon's, and the linear path of our networks. Each raw column has one term in the margins."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from handlers.attribution.additive import AdditivePart
from handlers.attribution.links import IDENTITY, SIGMOID, SOFTMAX
from handlers.attribution.values import Floats, NotReadable, Part

from .transformed import Transformed

Array = np.ndarray[Any, Any]

#: AutoGluon's steps that make one column of each that they are given.
_ONE_EACH = ("cont", "bool", "skew")


def linear_part(leaf: Any, transformed: Transformed) -> Part:
    """A `LinearModel` of AutoGluon on the raw table's columns.

    Raises:
        NotReadable: its steps or its kind are not known.
    """
    model = leaf.model
    weight, bias = np.atleast_2d(model.coef_).astype(np.float64), np.atleast_1d(model.intercept_).astype(np.float64)
    link = IDENTITY
    if hasattr(model, "classes_"):
        if len(model.classes_) > 2 and (model.solver == "liblinear" or len(weight) != len(model.classes_)):
            raise NotReadable("its classes are told apart one by one")
        link = SIGMOID if len(weight) == 1 else SOFTMAX

    def numbers(X: pd.DataFrame) -> Floats:
        made = leaf.preprocess(transformed(X))
        return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)

    owners = transformed.owners(_columns(leaf._pipeline))
    if weight.shape[1] != len(owners):
        raise NotReadable("its steps make other columns than it has weights")
    return additive(transformed.features, numbers, owners, weight, bias, link)


def _columns(steps: Any) -> list[str]:
    """For each column of numbers the one that it was made from."""
    names: list[str] = []
    for name, step, columns in steps.transformers_:
        if name == "cats":
            encoder = step.named_steps["generator"].encoder_
            names += _shown(encoder, list(columns))
        elif name in _ONE_EACH:
            names += list(columns)
        elif name != "remainder":
            raise NotReadable(f"its step {name!r} is not known")
    return names


def _shown(encoder: Any, columns: list[str]) -> list[str]:
    categories = encoder._ohe.categories_
    if len(categories) != len(columns):
        raise NotReadable("its categories are shown in another way")
    return [name for name, some in zip(encoder.features_in, categories, strict=True) for _ in some]


def additive(
    features: list[str],
    numbers: Callable[[pd.DataFrame], Floats],
    owners: Array,
    weight: Floats,
    bias: Floats,
    link: int,
) -> Part:
    """numbers (n, q) @ weight (K, q) + bias (K,) through the link; `owners` (q,) as elsewhere."""
    p, plain = len(features), np.array_equal(owners, np.arange(len(features)))

    def terms(X: pd.DataFrame) -> Floats:
        made = numbers(X)
        if plain:
            return np.ascontiguousarray(made[:, :, None] * weight.T)
        summed = np.zeros((len(X), p, len(bias)))
        for place, owner in enumerate(owners):
            summed[:, owner] += made[:, place, None] * weight[:, place]
        return summed

    def margins(X: pd.DataFrame) -> Floats:
        return np.asarray(numbers(X) @ weight.T + bias)

    return AdditivePart(features, terms, bias, link, margins)
