"""A predictor of AutoGluon as a weighted sum: its ensemble of models, each of these the mean of its folds' models.

This holds because no model is stacked on another and no probabilities are calibrated, see `automl.portfolio`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from handlers.attribution.sums import Sum
from handlers.attribution.values import Floats, NotReadable, Part

from .asked import AskedPart
from .in_places import InPlaces
from .leaves import leaf_part
from .opened import Opened
from .transformed import Transformed


def predictor_part(model: Opened, predictor: Any) -> Part:
    """A loaded `TabularPredictor` taken apart.

    Raises:
        NotReadable: it is no weighted sum.
    """
    transformed = Transformed(predictor, model.features)
    places = _class_places(model, predictor)
    weights, parts = [], []
    for weight, leaf in _leaves(predictor._trainer, predictor.model_best):
        weights.append(weight)
        parts.append(_part(leaf, transformed, model, places))
    return parts[0] if len(parts) == 1 and weights == [1.0] else Sum(model.features, parts, weights)


def _leaves(trainer: Any, name: str) -> Iterator[tuple[float, Any]]:
    """The models that predict by themselves, each with its weight in the answer."""
    model = trainer.load_model(name)
    if hasattr(model, "_get_model_weights"):
        for member, weight in model._get_model_weights().items():
            if weight:
                yield from ((float(weight) * share, leaf) for share, leaf in _leaves(trainer, member))
        return
    if trainer.get_minimum_model_set(name) != [name]:
        raise NotReadable("a model is stacked on others")
    if not hasattr(model, "load_child"):
        yield 1.0, model
        return
    for child in model.models:
        yield 1 / len(model.models), model.load_child(child)


def _class_places(model: Opened, predictor: Any) -> list[int] | None:
    """Where AutoGluon's classes stand among the model's; None for numbers and two classes."""
    return None if model.n_outputs == 1 else [int(code) for code in predictor.class_labels]


def _part(leaf: Any, transformed: Transformed, model: Opened, places: list[int] | None) -> Part:
    if getattr(leaf, "params_aux", {}).get("temperature_scalar") or getattr(leaf, "temperature_scalar", None):
        raise NotReadable("probabilities are calibrated")
    try:
        part = leaf_part(leaf, transformed)
    except NotReadable as reason:
        part = AskedPart(model.features, _width(places, model), _asking(leaf, transformed), str(reason))
    return part if places is None or places == list(range(model.n_outputs)) else InPlaces(part, places, model.n_outputs)


def _width(places: list[int] | None, model: Opened) -> int:
    return model.n_outputs if places is None else len(places)


def _asking(leaf: Any, transformed: Transformed) -> Callable[[pd.DataFrame], Floats]:
    def ask(table: pd.DataFrame) -> Floats:
        said = np.asarray(leaf.predict_proba(transformed(table)), dtype=np.float64)
        return said[:, None] if said.ndim == 1 else said

    return ask
