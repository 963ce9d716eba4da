"""Handlers that work with models and take as long as their seed says, in tenths of a second."""

import time
from pathlib import Path
from typing import Any

from events.explanations import ExplanationFacts
from events.outcomes import ModelFacts
from handlers.contract import Inputs, Outputs, Report, Result

from .histories import _EVALUATION

#: Where a warm server finds this module.
TESTS = Path(__file__).parent.parent


def explain(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    _take_time(request, inputs, report)
    out.explanation.mkdir()
    (out.explanation / "importance.json").write_text("{}")
    facts = ExplanationFacts(
        method="shap", explainer="none", feature_importance={"gene": 1.0}, visualizations={}, n_samples=1
    )
    return Result(summary="Explained", explanation=facts)


def combine(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    _take_time(request, inputs, report)
    out.model.mkdir()
    (out.model / "MLmodel").write_text("a model of models")
    facts = ModelFacts.model_validate(
        {
            **_EVALUATION, "model_type": "ensemble", "architecture": "voting", "hyperparameters": {},
            "split_id": "split-1", "n_train": 400, "n_test": 100,
        }
    )  # fmt: skip
    return Result(summary="Combined", model=facts)


def _take_time(request: Any, inputs: Inputs, report: Report) -> None:
    """Listens to no soft stop: it has to be killed."""
    report(1, "At work")
    assert all((model.path / "MLmodel").is_file() for model in inputs.models.values())
    time.sleep(request.seed / 10)
