"""The same samples explained by this project, by shap's three explainers and by lime, on one core."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

import numpy as np
import pandas as pd

from .explanations_models import (
    Answer,
    Array,
    answer_of,
    lightgbm,
    linear,
    part_of_model,
    random_forest,
    table,
    xgboost,
)

_MODELS = {"LightGBM": lightgbm, "XGBoost": xgboost, "RandomForest": random_forest, "linear": linear}
_TREES, _BACKGROUND, _TRAINING = 50, 100, 500


@dataclass(frozen=True, slots=True)
class Shape:
    features: int
    classes: int

    @classmethod
    def of(cls, text: str) -> "Shape":
        features, classes = text.split("x")
        return cls(int(features), int(classes))

    def __str__(self) -> str:
        return f"{self.features}x{self.classes}"


@dataclass(frozen=True, slots=True)
class Line:
    model: str
    ours: float
    #: Seconds for all samples, by explainer; ~ before the name: scaled from fewer.
    others: dict[str, float]
    said: str


def measure(shape: Shape, samples: int, quick: bool) -> Iterator[Line]:
    for explain in (_permutation, _kernel, _lime):  # what they compile and import the first time is not counted
        explain(lambda rows: rows[:, :1], np.eye(5)[:1], np.eye(5))
    problem = "binary" if shape.classes == 2 else "multiclass"
    X, y = table(problem, _TRAINING + _BACKGROUND + samples, shape.features, shape.classes)
    mine, theirs = X[:samples], X[samples : samples + _BACKGROUND]
    for name, make in _MODELS.items():
        if quick and name not in ("LightGBM", "linear"):
            continue
        model = make(problem, _TREES).fit(X[samples + _BACKGROUND :], y[samples + _BACKGROUND :])
        names = [f"gene {i}" for i in range(shape.features)]
        frames = [pd.DataFrame(some, columns=names) for some in (mine, theirs)]
        began = process_time()
        found = part_of_model(model, names).attributions(frames[0], frames[1], lambda share: None, 0)
        ours = process_time() - began
        answer = answer_of(model, problem)
        few = 1 if shape.features > 100 else 3
        others: dict[str, float] = {} if name == "linear" else {"Tree": _tree(model, mine, theirs)}
        for label, explain in (("~Permutation", _permutation), ("~Kernel", _kernel), ("~lime", _lime)):
            others[label] = _clock(partial(explain, answer, mine[:few], theirs)) * samples / few
        yield Line(name, ours, others, f"{found.exactness}; additivity {found.additivity_error():.0e}")


def _clock(work: Callable[[], Any]) -> float:
    began = process_time()
    work()
    return process_time() - began


def _tree(model: Any, mine: Array, theirs: Array) -> float:
    """In margins; where it refuses a model, no number."""
    import shap

    try:
        explainer = shap.TreeExplainer(model, theirs, feature_perturbation="interventional")
        return _clock(lambda: explainer.shap_values(mine, check_additivity=False))
    except (ValueError, NotImplementedError, shap.utils._exceptions.ExplainerError):
        return float("nan")


def _permutation(answer: Answer, mine: Array, theirs: Array) -> None:
    import shap

    explainer = shap.PermutationExplainer(answer, shap.maskers.Independent(theirs, max_samples=len(theirs)))
    explainer(mine, max_evals=max(500, 2 * mine.shape[1] + 1), silent=True)


def _kernel(answer: Answer, mine: Array, theirs: Array) -> None:
    import shap

    shap.KernelExplainer(answer, theirs).shap_values(mine, silent=True)


def _lime(answer: Answer, mine: Array, theirs: Array) -> None:
    from lime.lime_tabular import LimeTabularExplainer

    def chances(rows: Array) -> Array:
        answers = answer(rows)
        return np.column_stack([1 - answers, answers]) if answers.shape[1] == 1 else answers

    explainer = LimeTabularExplainer(theirs, discretize_continuous=False, random_state=0)
    for row in mine:
        explainer.explain_instance(row, chances, num_features=mine.shape[1], top_labels=None)
