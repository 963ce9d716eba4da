"""The plain model that a trained one has to beat: scaled logistic regression, or ridge.

Everything is fitted on training rows alone: medians for gaps, scales, and which categories there are.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from events.outcomes import Baseline

from .intervals import intervals
from .metrics import Predictions, is_better, score
from .networks.table import TableEncoder

#: Cells of a training table above which rows are thinned out: a baseline takes seconds, not hours.
MOST_CELLS = 20_000_000
_ITERATIONS = 300
_RIDGES = tuple(10.0**power for power in range(-2, 6))


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain model's name and what it says about the test rows."""

    name: str
    predictions: Predictions


def baseline(
    plain: Plain, primary_metric: str, model_score: float | None, groups: np.ndarray[Any, Any] | None = None
) -> Baseline:
    """The plain model's scores, and whether `model_score` is better than its `primary_metric`."""
    metrics = score(plain.predictions)
    own = metrics.get(primary_metric)
    beaten = model_score is not None and (own is None or is_better(primary_metric, model_score, own))
    return Baseline(name=plain.name, metrics=metrics, intervals=intervals(plain.predictions, groups), beaten=beaten)


def fit_plain(
    X_train: pd.DataFrame,
    y_train: np.ndarray[Any, Any],
    X_test: pd.DataFrame,
    y_test: np.ndarray[Any, Any],
    n_classes: int | None,
    seed: int = 0,
) -> Plain:
    """Fits on the training rows, predicts the test rows.

    `n_classes`: k for class codes 0..k-1, None for a regression. Where no linear model can be fitted (no usable
    column, numbers beyond all bounds), the answer is the commonest class or the mean.
    """
    X_train, y_train = _thinned(X_train, y_train, seed)
    try:
        # A solver that has not fully converged is still a fair opponent; numbers that overflow are caught below.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return _linear(X_train, y_train, X_test, y_test, n_classes)
    except (ValueError, np.linalg.LinAlgError, FloatingPointError):
        return constant(y_train, y_test, n_classes)


def constant(y_train: np.ndarray[Any, Any], y_test: np.ndarray[Any, Any], n_classes: int | None) -> Plain:
    """The commonest class with the classes' shares as probabilities, or the mean."""
    if n_classes is None:
        return Plain("mean", Predictions(y_test, np.full(len(y_test), float(np.mean(y_train)))))
    shares = np.bincount(y_train, minlength=n_classes) / len(y_train)
    predicted = np.full(len(y_test), int(shares.argmax()))
    return Plain("majority class", Predictions(y_test, predicted, np.tile(shares, (len(y_test), 1))))


def _thinned(X: pd.DataFrame, y: np.ndarray[Any, Any], seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    most = max(1000, MOST_CELLS // max(1, X.shape[1]))
    if len(X) <= most:
        return X, y
    chosen = np.sort(np.random.default_rng(seed).choice(len(X), most, replace=False))
    return X.iloc[chosen], y[chosen]


def _linear(
    X_train: pd.DataFrame,
    y_train: np.ndarray[Any, Any],
    X_test: pd.DataFrame,
    y_test: np.ndarray[Any, Any],
    n_classes: int | None,
) -> Plain:
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.preprocessing import StandardScaler

    encoder = TableEncoder().fit(X_train)
    scaler = StandardScaler()
    train = scaler.fit_transform(encoder.transform(X_train))
    test = scaler.transform(encoder.transform(X_test))
    if n_classes is None:
        ridge = RidgeCV(alphas=_RIDGES).fit(train, y_train)
        return Plain("ridge regression", Predictions(y_test, _finite(ridge.predict(test))))
    logistic = LogisticRegression(max_iter=_ITERATIONS).fit(train, y_train)
    probabilities = np.zeros((len(test), n_classes))
    probabilities[:, logistic.classes_] = _finite(logistic.predict_proba(test))
    return Plain("logistic regression", Predictions(y_test, probabilities.argmax(axis=1), probabilities))


def _finite(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not np.isfinite(values).all():
        raise ValueError("the linear model has no finite answer")
    return values
