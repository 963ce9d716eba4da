"""What a fit came down to: the models that were finished, how far each was trained, and the weights of their sum.

A clock decides which models a search finishes and where it cuts them. So the plan of a fit is not what was asked for
but what came out of it, and that is what is recorded: replayed without a clock it gives the same model again.
"""

from collections.abc import Mapping
from typing import Any

VERSION = 1
_BAG = "_BAG_L1"


def fitted_plan(predictor: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The plan as JSON data. `predictor` is a fitted `TabularPredictor`; `asked`: what decided the search.

    Each of `models` has its name, family, the settings it was given, and `trained`: its iterations, or where it is
    bagged those of each fold.
    """
    trainer = predictor._trainer
    refitted = set(trainer.model_refit_map().values())
    found = [trainer.load_model(name) for name in trainer.get_model_names() if name not in refitted]
    ensembles = [model for model in found if hasattr(model, "_get_model_weights")]
    return {
        "version": VERSION,
        **asked,
        "models": [_model(model) for model in found if model not in ensembles],
        "weights": weights_of(ensembles[-1]) if ensembles else {},
    }


def weights_of(ensemble: Any) -> dict[str, float]:
    """Member → weight, heaviest first; empty where the model is no ensemble."""
    if not hasattr(ensemble, "_get_model_weights"):
        return {}
    weights = {plain_name(name): float(weight) for name, weight in ensemble._get_model_weights().items()}
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def plain_name(name: Any) -> str:
    """A model's name without AutoGluon's mark of a bag: «LightGBM_BAG_L1/T2» is «LightGBM/T2»."""
    return str(name).replace(_BAG, "")


def _model(model: Any) -> dict[str, Any]:
    bagged = hasattr(model, "load_child")
    template = model._get_model_base() if bagged else model
    return {
        "name": plain_name(model.name),
        "family": template.ag_key,
        "hyperparameters": plain(template.get_params()["hyperparameters"]),
        "trained": _trained_folds(model) if bagged else plain(model.params_trained),
    }


def _trained_folds(bag: Any) -> dict[str, Any]:
    children = (bag.load_child(child) for child in bag.models)
    return {child.name: plain(child.params_trained) for child in children}


def plain(value: Any) -> Any:
    """As JSON knows it: numbers of NumPy become Python's, tuples lists.

    Raises:
        TypeError: something else is in it, which a plan could not repeat.
    """
    match value:
        case Mapping():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a plan cannot hold {type(value).__name__}")
