"""The models whose explanations are held against all subsets of their features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification, make_regression
from support.all_subsets import by_all_subsets

from handlers.attribution.additive import AdditivePart
from handlers.attribution.links import IDENTITY, SOFTMAX
from handlers.attribution.sums import Sum
from handlers.attribution.tree_shap import TreesPart, read_trees
from handlers.attribution.values import Part

from .explanations_networks import ARCHITECTURES, Blend, Net

Array = np.ndarray[Any, Any]
Answer = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Measured:
    error: float
    additivity: float
    said: str


def table(problem: str, rows: int, features: int, classes: int = 3) -> tuple[Array, Array]:
    """Made up, with half of the features (at most 25) telling something; numbers are scaled to a deviation of 1."""
    if problem == "regression":
        X, y = make_regression(rows, features, n_informative=min(25, features), random_state=1)
        return X, (y - y.mean()) / y.std()
    count = 2 if problem == "binary" else classes
    informative = max(5, min(25, features // 2))
    return make_classification(
        rows, features, n_informative=informative, n_redundant=0, n_classes=count, random_state=1
    )


def lightgbm(problem: str, trees: int) -> Any:
    import lightgbm as library

    kind = library.LGBMRegressor if problem == "regression" else library.LGBMClassifier
    return kind(n_estimators=trees, verbose=-1, num_threads=1, min_child_samples=5)


def xgboost(problem: str, trees: int) -> Any:
    import xgboost as library

    kind = library.XGBRegressor if problem == "regression" else library.XGBClassifier
    return kind(n_estimators=trees, nthread=1)


def catboost(problem: str, trees: int) -> Any:
    import catboost as library

    kind = library.CatBoostRegressor if problem == "regression" else library.CatBoostClassifier
    return kind(iterations=trees, verbose=0, thread_count=1, allow_writing_files=False)


def random_forest(problem: str, trees: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if problem == "regression" else RandomForestClassifier)(trees, random_state=0)


def extra_trees(problem: str, trees: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    return (ExtraTreesRegressor if problem == "regression" else ExtraTreesClassifier)(trees, random_state=0)


def linear(problem: str, trees: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return Ridge() if problem == "regression" else LogisticRegression(C=0.1)


#: What is measured: a maker by name.
EXACTNESS: dict[str, Callable[[str, int], Any]] = {
    "LightGBM": lightgbm,
    "XGBoost": xgboost,
    "CatBoost": catboost,
    "RandomForest": random_forest,
    "ExtraTrees": extra_trees,
    "linear": linear,
    **{name: Net.maker(name) for name in ARCHITECTURES},
    "ensemble": lambda problem, trees: Blend(lightgbm(problem, trees), Net(problem, "rnn")),
}


def part_of_model(model: Any, names: list[str]) -> Part:
    if isinstance(model, Net):
        return model.part(names)
    if isinstance(model, Blend):
        return Sum(names, [part_of_model(one, names) for one in model.members], [0.5, 0.5])
    if not hasattr(model, "coef_"):
        return TreesPart(names, read_trees(model), lambda X: X.to_numpy(), np.arange(len(names)))
    weights = np.atleast_2d(model.coef_).T
    bias = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    if hasattr(model, "classes_") and len(model.classes_) == 2:
        weights, bias = np.column_stack([0 * weights, weights]), np.array([0.0, bias[0]])
    link = SOFTMAX if hasattr(model, "classes_") else IDENTITY
    return AdditivePart(names, lambda X: X.to_numpy()[:, :, None] * weights[None], bias, link)


def answer_of(model: Any, problem: str) -> Answer:
    if problem == "regression":
        return lambda rows: np.asarray(model.predict(rows)).reshape(len(rows), 1)
    return lambda rows: model.predict_proba(rows)[:, 1:] if problem == "binary" else model.predict_proba(rows)


def model_parts(name: str, problem: str, features: int, rows: int, background: int) -> Measured:
    """One model's largest error for `rows` samples against `background` others."""
    X, y = table(problem, 400, features)
    model = EXACTNESS[name](problem, 30).fit(X, y)
    names = [f"gene {i}" for i in range(features)]
    mine, theirs = X[:rows], X[100 : 100 + background]
    part = part_of_model(model, names)
    frames = [pd.DataFrame(some, columns=names) for some in (mine, theirs)]
    found = part.attributions(frames[0], frames[1], lambda share: None, 0)
    error = np.abs(found.values - by_all_subsets(answer_of(model, problem), mine, theirs)).max()
    return Measured(float(error), found.additivity_error(), f"{found.method}: {found.exactness}")
