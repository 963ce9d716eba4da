"""Trees of every library that is read, against all subsets of the features asked of the library itself."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from support.all_subsets import by_all_subsets

from handlers.attribution.links import IDENTITY
from handlers.attribution.packed_trees import PackedTrees
from handlers.attribution.tree_shap import TreesPart, read_trees
from handlers.attribution.values import NotReadable

P = 6
NAMES = [f"gene {i}" for i in range(P)]
_CAT = {"iterations": 12, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
_LGB = {"n_estimators": 12, "verbose": -1, "num_threads": 1, "min_child_samples": 5}
CLASSIFIERS = {
    "LightGBM": lambda: lightgbm.LGBMClassifier(**_LGB),
    "LightGBM, one against the rest": lambda: lightgbm.LGBMClassifier(**_LGB, objective="multiclassova"),
    "LightGBM, zeros missing": lambda: lightgbm.LGBMClassifier(**_LGB, zero_as_missing=True),
    "LightGBM, averaged": lambda: lightgbm.LGBMClassifier(
        **_LGB, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7
    ),
    "XGBoost": lambda: xgboost.XGBClassifier(n_estimators=12, nthread=1),
    "XGBoost, DART": lambda: xgboost.XGBClassifier(n_estimators=12, nthread=1, booster="dart", rate_drop=0.3),
    "CatBoost": lambda: catboost.CatBoostClassifier(**_CAT),
    "RandomForest": lambda: RandomForestClassifier(8, random_state=0),
    "ExtraTrees": lambda: ExtraTreesClassifier(8, random_state=0),
}
REGRESSORS = {
    "LightGBM": lambda: lightgbm.LGBMRegressor(**_LGB),
    "XGBoost": lambda: xgboost.XGBRegressor(n_estimators=12, nthread=1),
    "CatBoost": lambda: catboost.CatBoostRegressor(**_CAT),
    "RandomForest": lambda: RandomForestRegressor(8, random_state=0),
    "ExtraTrees": lambda: ExtraTreesRegressor(8, random_state=0),
}


def table(classes: int, p: int = P, rows: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Every tenth value missing, some zero; a target in which features act together."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(rows, p))
    worth = X[:, 0] * X[:, 1] + X[:, 2] + 0.5 * np.abs(X[:, 3]) + 0.1 * rng.normal(size=rows)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[rng.random(X.shape) < 0.1] = 0.0
    if not classes:
        return X, worth
    return X, np.searchsorted(np.quantile(worth, np.arange(1, classes) / classes), worth)


def part(model: Any, names: list[str] = NAMES) -> TreesPart:
    return TreesPart(names, read_trees(model), lambda X: X.to_numpy(), np.arange(len(names)))


def explained(model: Any, answer: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> float:
    """The largest error; of predictions and additivity, too."""
    found = part(model).attributions(
        pd.DataFrame(X[:4], columns=NAMES), pd.DataFrame(X[50:62], columns=NAMES), lambda share: None, 0
    )
    assert found.exactness == "exact"
    assert found.additivity_error() < 1e-12
    expected = by_all_subsets(answer, X[:4], X[50:62])
    assert np.abs(expected).max() > 0.01
    predicted = np.asarray(answer(X[:4])).reshape(4, -1)
    return float(max(np.abs(found.values - expected).max(), np.abs(found.predictions - predicted).max()))


#: One against the rest, two classes have one margin like any other.
OF_CLASSES = [(name, classes) for name in CLASSIFIERS for classes in (2, 3) if classes == 3 or "rest" not in name]


@pytest.mark.parametrize(("name", "classes"), OF_CLASSES)
def test_classes(name: str, classes: int) -> None:
    X, y = table(classes)
    model = CLASSIFIERS[name]().fit(X, y)

    def answer(rows: np.ndarray) -> np.ndarray:
        chances = model.predict_proba(rows)
        return chances[:, 1] if classes == 2 else chances

    assert explained(model, answer, X) < (1e-6 if "XGBoost" in name else 1e-12)  # that one answers in single precision


@pytest.mark.parametrize("name", REGRESSORS)
def test_numbers(name: str) -> None:
    X, y = table(0)
    model = REGRESSORS[name]().fit(X, y)
    assert explained(model, model.predict, X) < (1e-6 if name == "XGBoost" else 1e-12)


def test_categories_of_lightgbm() -> None:
    X, y = table(2)
    X = np.nan_to_num(X)
    X[:, 0] = np.digitize(X[:, 0], [-1, 0, 1])
    X[:, 1] = np.digitize(X[:, 1], np.linspace(-2, 2, 40))
    model = lightgbm.LGBMClassifier(**_LGB, min_data_per_group=1, cat_smooth=1).fit(X, y, categorical_feature=[0, 1])
    assert part(model).trees.reading.memberships
    X[:2, 0], X[0, 1] = [np.nan, 77.0], -1.0
    assert explained(model, lambda rows: model.predict_proba(rows)[:, 1], X) < 1e-12


def test_several_columns_of_one_feature_change_sides_together() -> None:
    X, y = table(2, rows=200)
    X = np.nan_to_num(X)
    model = RandomForestClassifier(8, random_state=0).fit(np.column_stack([X, X[:, :2] ** 2]), y)

    def encode(rows: pd.DataFrame) -> np.ndarray:
        return np.column_stack([rows.to_numpy(), rows.to_numpy()[:, :2] ** 2])

    whole = TreesPart(NAMES, read_trees(model), encode, np.array([*range(P), 0, 1]))
    rows, background = pd.DataFrame(X[:3], columns=NAMES), pd.DataFrame(X[20:30], columns=NAMES)
    found = whole.attributions(rows, background, lambda share: None, 0)
    expected = by_all_subsets(
        lambda Z: model.predict_proba(encode(pd.DataFrame(Z)))[:, 1], rows.to_numpy(), background.to_numpy()
    )
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_many_features_are_right_within_the_standard_error() -> None:
    p, names = 14, [f"gene {i}" for i in range(14)]
    X, _ = table(2, p=p, rows=300)
    X = np.nan_to_num(X)
    model = lightgbm.LGBMClassifier(**_LGB).fit(X, X.sum(axis=1) + X[:, 0] * X[:, 1] > 0)
    rows, background = X[:2], X[100:120]
    found = part(model, names).attributions(
        pd.DataFrame(rows, columns=names), pd.DataFrame(background, columns=names), lambda share: None, 0
    )
    assert "standard error" in found.exactness
    error = found.values - by_all_subsets(lambda Z: model.predict_proba(Z)[:, 1], rows, background)
    assert np.sqrt((error**2).mean()) < 0.01
    assert np.abs(error).max() < 0.04
    assert found.additivity_error() < 1e-12


def test_a_way_with_too_many_players_for_bits_is_walked_pair_by_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = table(0)
    model = RandomForestRegressor(8, random_state=0).fit(X, y)
    rows, background = pd.DataFrame(X[:3], columns=NAMES), pd.DataFrame(X[20:30], columns=NAMES)
    quick = part(model).attributions(rows, background, lambda share: None, 0)
    monkeypatch.setattr(TreesPart, "_summed", lambda *ignored: None)
    slow = part(model).attributions(rows, background, lambda share: None, 0)
    np.testing.assert_allclose(slow.values, quick.values, atol=1e-12)
    assert slow.exactness == "exact"


@pytest.mark.parametrize(
    "make",
    [
        lambda: GradientBoostingClassifier(n_estimators=2),
        lambda: lightgbm.LGBMRegressor(**_LGB, objective="poisson"),
        lambda: lightgbm.LGBMRegressor(**_LGB, linear_tree=True),
        lambda: xgboost.XGBRegressor(n_estimators=2, nthread=1, objective="count:poisson"),
        lambda: xgboost.XGBRegressor(n_estimators=2, nthread=1, booster="gblinear"),
        lambda: catboost.CatBoostRegressor(**_CAT, loss_function="Poisson"),
        lambda: catboost.CatBoostRegressor(**_CAT, grow_policy="Depthwise"),
    ],
)
def test_what_is_not_read_says_so(make: Callable[[], Any]) -> None:
    X, y = table(2)
    model = make().fit(np.nan_to_num(X), y)
    with pytest.raises(NotReadable, match=r"read|trees"):
        read_trees(model)


def test_trees_without_a_split_share_nothing() -> None:
    X, _ = table(0)
    model = lightgbm.LGBMRegressor(**_LGB).fit(X, np.ones(len(X)))
    found = part(model).attributions(
        pd.DataFrame(X[:2], columns=NAMES), pd.DataFrame(X[9:12], columns=NAMES), lambda share: None, 0
    )
    assert (found.values == 0).all()
    assert found.additivity_error() < 1e-12


def test_importing_starts_no_thread() -> None:
    """The warm server's preload imports this before it forks."""
    names = (
        "import numpy, pandas, numba, scipy.linalg",
        "import handlers.attribution.tree_shap, handlers.attribution.additive",
    )
    count = "; import os; print(len(os.listdir('/proc/self/task')))"
    threads = [subprocess.check_output([sys.executable, "-c", f"{names[0]}; {name}{count}"]) for name in names]
    assert threads[0] == threads[1]


def test_two_answers_by_the_softmax_are_one_margin() -> None:
    X, y = table(2)
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 2, "nthread": 1}, xgboost.DMatrix(X, label=y), 5
    )
    packed: PackedTrees = read_trees(booster)
    assert len(packed.base) == 1
    assert packed.link != IDENTITY
    assert explained(booster, lambda rows: booster.predict(xgboost.DMatrix(rows))[:, 1], X) < 1e-6
