"""AutoML of a few families, as handlers for an executor. Some learn so slowly that the clock always cuts them."""

from typing import Any
from unittest.mock import patch

from handlers.automl import portfolio
from handlers.automl.handler import run
from handlers.contract import Inputs, Outputs, Report, Result

#: Each tree or epoch makes such a model a little better for hours: nothing but the clock ends it.
MOST = 100_000
_SLOW = {
    # Early in the row: on a busy machine there would be no time left to begin it.
    "NN_TORCH": {"learning_rate": 1e-6, "num_epochs": MOST, "ag_args": {"priority": 990}},
    "CAT": {"learning_rate": 1e-4, "iterations": MOST},
}


def network(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A neural network that never comes to its end, between models that do and some that have no time left."""
    return _with(("LR", "GBM", "NN_TORCH"), _SLOW, request, inputs, out, report)


def forest(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A forest and boosted trees, whose folds never come to their end."""
    return _with(("LR", "RF", "CAT", "XGB"), _SLOW, request, inputs, out, report)


def quick(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Linear models and boosted trees as they are."""
    return _with(("LR", "GBM"), {}, request, inputs, out, report)


def linear(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Linear models alone."""
    return _with(("LR",), {}, request, inputs, out, report)


def _with(families: tuple[str, ...], settings: dict[str, dict[str, Any]], *job: Any) -> Result:
    careful = portfolio._careful

    def changed(family: str, *more: Any) -> dict[str, Any]:
        return careful(family, *more) | settings.get(family, {})

    with patch.object(portfolio, "_FAMILIES", families), patch.object(portfolio, "_careful", changed):
        return run(*job)
