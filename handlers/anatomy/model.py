"""A finished model, whatever made it, as a part that can be explained."""

from collections.abc import Mapping
from typing import Any

from handlers.attribution.values import NotReadable, Part
from handlers.contract import ModelFiles

from .asked import AskedPart
from .checked import CheckedPart
from .ensembles import ensemble_part
from .opened import ENSEMBLE, NETWORK, PREDICTOR, Opened, asking, opened, served


def part_of(model: ModelFiles, models: Mapping[str, ModelFiles]) -> Part:
    """The model on its own columns, taken apart as far as it can be, and checked against its own answers.

    Args:
        models: those that ensembles among them are made of and do not hold themselves, by id.

    Raises:
        JobRefused: `model_unsuitable`: it cannot be opened.
    """
    found = opened(model.path, model.facts)
    if found.kind == ENSEMBLE:
        return ensemble_part(found, models, part_of)
    whom = served(found)
    whole = AskedPart(found.features, found.n_outputs, asking(found, whom))
    try:
        return CheckedPart(_taken_apart(found, whom), whole, found.about["classes"] is not None)
    except NotReadable as reason:
        return AskedPart(whole.features, whole.n_outputs, whole.ask, str(reason))


def _taken_apart(model: Opened, whom: Any) -> Part:
    inner: Any = getattr(whom, "_model", None)
    if model.kind == PREDICTOR and hasattr(inner, "_predictor"):
        from .autogluon import predictor_part

        return predictor_part(model, inner._predictor)
    if model.kind == NETWORK and hasattr(inner, "_network"):
        from .networks import network_part

        return network_part(model, inner._network, inner._table)
    raise NotReadable("a model of an unknown kind is only asked")
