"""The plain model: sensible on real data, unmoved by odd columns, fitted on training rows alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from handlers.baselines import baseline, fit_plain
from handlers.networks.table import TableEncoder

CANCER = load_breast_cancer(as_frame=True)
DIABETES = load_diabetes(as_frame=True)


def odd_frame(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "größe": rng.normal(size=n),
            "ja": rng.random(n) < 0.5,
            "基因": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "text": [f"free text {i}" for i in range(n)],
            "day": pd.date_range("2020-01-01", periods=n),
            "empty": np.full(n, np.nan),
            "constant": 1,
        }
    )
    frame.loc[::3, "größe"] = np.nan
    frame.loc[::4, "基因"] = None
    frame.loc[::5, "day"] = pd.NaT
    return frame


def test_it_is_a_serious_opponent_on_real_data() -> None:
    X, y = CANCER.data, CANCER.target.to_numpy()
    plain = fit_plain(X[:400], y[:400], X[400:], y[400:], n_classes=2)
    found = baseline(plain, "accuracy", model_score=0.5)
    assert plain.name == "logistic regression"
    assert found.metrics["accuracy"] > 0.95
    assert not found.beaten
    assert baseline(plain, "accuracy", model_score=0.999).beaten


def test_regression_is_ridge() -> None:
    X, y = DIABETES.data, DIABETES.target.to_numpy()
    plain = fit_plain(X[:300], y[:300], X[300:], y[300:], n_classes=None)
    found = baseline(plain, "rmse", model_score=10.0)
    assert plain.name == "ridge regression"
    assert found.metrics["r2"] > 0.4
    assert found.beaten


def test_every_kind_of_column_can_be_there() -> None:
    frame = odd_frame(60)
    y = (frame["基因"] == "a").to_numpy().astype(np.int64)
    plain = fit_plain(frame[:40], y[:40], frame[40:], y[40:], n_classes=2)
    assert plain.name == "logistic regression"
    assert (plain.predictions.predicted == y[40:]).mean() > 0.9


def test_categories_and_middles_come_from_training_rows() -> None:
    train = pd.DataFrame({"a": [1.0, 3.0, np.nan, 5.0], "b": ["x", "x", "y", "y"]})
    other = pd.DataFrame({"a": [np.nan, 7.0], "b": ["z", "x"]})
    assert TableEncoder().fit(train).transform(other).tolist() == [[3.0, 0.0, 0.0], [7.0, 1.0, 0.0]]


def test_what_nothing_can_be_fitted_to_gets_the_commonest_class() -> None:
    X = pd.DataFrame({"text": [f"id {i}" for i in range(30)]})
    y = np.array([0] * 20 + [1] * 10)
    plain = fit_plain(X[5:], y[5:], X[:5], y[:5], n_classes=2)
    assert plain.name == "majority class"
    assert plain.predictions.probabilities[0] == pytest.approx([0.6, 0.4])


def test_a_class_that_training_rows_lack_has_no_probability() -> None:
    X = pd.DataFrame({"a": np.arange(30.0)})
    y = np.array([0, 2] * 15)
    plain = fit_plain(X, y, X, y, n_classes=3)
    assert plain.predictions.probabilities.shape == (30, 3)
    assert (plain.predictions.probabilities[:, 1] == 0).all()


def test_more_columns_than_anybody_can_look_at() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 20_000)))
    y = (X[0] > 0).to_numpy().astype(np.int64)
    assert fit_plain(X[:48], y[:48], X[48:], y[48:], n_classes=2).name == "logistic regression"
