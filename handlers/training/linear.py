"""The linear path of a network: solved on scaled features, its strength chosen on validation rows."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .losses import is_clearly_worse, row_losses
from .rows import Rows

#: Strengths of the penalty: ridge's, and for classes its inverse.
_STRENGTHS = tuple(10.0**power for power in range(-3, 2))
_RIDGES = tuple(10.0**power for power in range(-2, 6))
_ITERATIONS = 200
#: Cells of a table above which rows are thinned out.
_MOST_CELLS = 20_000_000

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (k, p) and bias (k,) for scaled features; k outputs, of which a regression has one, in deviations."""

    weight: Floats
    bias: Floats
    strength: float

    def __call__(self, X: Floats) -> Floats:
        """(n, p) → (n, k)."""
        return X @ self.weight.T + self.bias

    def averaged(self, other: "Linear") -> "Linear":
        """What says the mean of both."""
        return Linear((self.weight + other.weight) / 2, (self.bias + other.bias) / 2, self.strength)


def solve(
    X: Floats, y: Floats, rows: Rows, known: Linear | None = None, weights: Floats | None = None
) -> tuple[Linear, Linear]:
    """(on fit rows alone, on all training rows), both with the strength that is best on validation rows.

    Where another cohort's linear path is `known`, the answer is the mean of both, unless that is clearly worse.

    Args:
        X: (n, p) scaled features of all training rows. y: their class codes, or values in deviations.
        weights: (n,) of the rows, None for one each.
    """
    weights = np.ones(len(X)) if weights is None else weights
    while_choosing, final = _solved(X, y, rows, weights)
    if known is None or _misleads(known, while_choosing, X, y, rows, weights):
        return while_choosing, final
    return while_choosing.averaged(known), final.averaged(known)


def _misleads(known: Linear, found: Linear, X: Floats, y: Floats, rows: Rows, weights: Floats) -> bool:
    validation = rows.validation
    if not len(validation):
        return False
    both, alone = (
        weights[validation] * row_losses(linear(X[validation]), y[validation], rows.n_classes)
        for linear in (found.averaged(known), found)
    )
    return is_clearly_worse(both, alone)


def _solved(X: Floats, y: Floats, rows: Rows, weights: Floats) -> tuple[Linear, Linear]:
    fit, validation = rows.fit, rows.validation
    strengths = _STRENGTHS if rows.n_classes else _RIDGES
    if not len(validation):  # nothing to choose by: neither by heart nor not at all
        found = _solve(X[fit], y[fit], weights[fit], rows.n_classes, strengths[len(strengths) // 2])
        return found, found
    best, best_loss = None, np.inf
    for strength in strengths:
        found = _solve(X[fit], y[fit], weights[fit], rows.n_classes, strength)
        loss = float((weights[validation] * row_losses(found(X[validation]), y[validation], rows.n_classes)).mean())
        if best is None or loss < best_loss:
            best, best_loss = found, loss
    assert best is not None, "there are strengths to try"
    return best, _solve(X, y, weights, rows.n_classes, best.strength)


def _solve(X: Floats, y: Floats, weights: Floats, n_classes: int | None, strength: float) -> Linear:
    """Solved in the rows' own space where there are fewer rows than features: Hastie and Tibshirani (2004), «Efficient
    quadratic regularization for expression arrays»."""
    from sklearn.linear_model import LogisticRegression, Ridge

    most = max(1000, _MOST_CELLS // max(1, X.shape[1]))
    if len(X) > most:
        chosen = np.linspace(0, len(X) - 1, most).astype(np.int64)
        if n_classes is not None:  # a rare class may lie between
            chosen = np.union1d(chosen, np.unique(y, return_index=True)[1])
        X, y, weights = X[chosen], y[chosen], weights[chosen]
    if X.shape[1] > len(X):
        left, lengths, directions = np.linalg.svd(X, full_matrices=False)
        inner = _solve(left * lengths, y, weights, n_classes, strength)
        return Linear(inner.weight @ directions, inner.bias, strength)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one that has not fully converged is as good
        if n_classes is None:
            ridge = Ridge(alpha=strength).fit(X, y, None if (weights == 1).all() else weights)
            return Linear(ridge.coef_[None, :], np.atleast_1d(ridge.intercept_), strength)
        logistic = LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(X, y, weights)
    weight, bias = np.zeros((n_classes, X.shape[1])), np.full(n_classes, -30.0)
    if len(logistic.classes_) == 2:  # one row of weights, for the second of both
        first, second = logistic.classes_
        weight[second], bias[second], bias[first] = logistic.coef_[0], logistic.intercept_[0], 0.0
    else:
        weight[logistic.classes_], bias[logistic.classes_] = logistic.coef_, logistic.intercept_
    return Linear(weight, bias, strength)
