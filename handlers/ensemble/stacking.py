"""Stacking: a regularised model over what the members say.

For classes a multinomial logistic regression on the logarithms of the members' probabilities, in which a member has one
weight for all classes, and each class a constant: a weighted logarithmic pool (Genest and Zidek 1986). For numbers a
ridge regression on the members' values. Weights are not negative, as Breiman («Stacked Regressions», 1996) found to be
what makes stacking work. The penalty draws them towards equal weights and no constant, which is soft voting; its
strength is what cross-validation on the same rows asks for.
"""

from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import lsq_linear, minimize
from threadpoolctl import threadpool_limits

from .combining import Floats
from .practice import Practice

#: Of the squared distance to equal weights, beside the mean loss of a row; the strongest first.
_STRENGTHS = (100.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
_REPEATS = 3
#: The least probability whose logarithm is looked at.
_LEAST = 1e-4


def stacked(practice: Practice, seed: int) -> dict[str, Any]:
    """The combination; `strength` is the penalty's."""
    # Threads of a library would wait for each other longer than such small matrices take.
    with threadpool_limits(1):
        losses = np.mean([_losses(practice, seed + repeat) for repeat in range(_REPEATS)], axis=0)
        strength = _STRENGTHS[practice.strongest(losses)]
        return {**fitted(practice, strength), "strength": strength}


def _losses(practice: Practice, seed: int) -> Floats:
    """(strengths, n): the loss of each row by what was learned without it."""
    folds = practice.folds(seed)
    answers = [practice.unseen(partial(fitted, strength=strength), folds) for strength in _STRENGTHS]
    return np.stack([practice.losses(each) for each in answers])


def fitted(practice: Practice, strength: float) -> dict[str, Any]:
    """The combination with a penalty of this strength."""
    meta = _ridge(practice, strength) if practice.n_classes is None else _logistic(practice, strength)
    return {"method": "stacking", "voting": "soft", "weights": None, "meta": meta}


def _ridge(practice: Practice, strength: float) -> dict[str, Any]:
    """Least squares in deviations of the target, with the penalty as rows of their own."""
    m, n = practice.said.shape
    spread = practice.y.std() or 1.0
    centre = practice.y.mean()
    pull = np.sqrt(strength * n)
    rows = np.column_stack([(practice.said.T - centre) / spread, np.ones(n)])
    A = np.vstack([rows, pull * np.eye(m + 1)])
    b = np.concatenate([(practice.y - centre) / spread, np.full(m, pull / m), [0.0]])
    found = lsq_linear(A, b, bounds=([0.0] * m + [-np.inf], np.inf)).x
    weights, constant = found[:m], found[m]
    intercept = centre + spread * constant - centre * weights.sum()
    return {
        "kind": "ridge", "inputs": "values", "coef": [weights.tolist()], "intercept": [float(intercept)],
    }  # fmt: skip


def _logistic(practice: Practice, strength: float) -> dict[str, Any]:
    m, n, k = practice.said.shape
    logs = np.log(np.clip(practice.said, _LEAST, 1))
    y, rows = practice.y, np.arange(n)

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights, constants = parameters[:m], parameters[m:]
        scores = np.tensordot(weights, logs, axes=1) + constants
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        total = chances.sum(axis=1, keepdims=True)
        loss = float((np.log(total[:, 0]) - scores[rows, y]).mean())
        wrong = chances / total
        wrong[rows, y] -= 1
        away = weights - 1 / m
        slope = np.concatenate([np.tensordot(logs, wrong, axes=2) / n, wrong.mean(axis=0)])
        pull = np.concatenate([away, constants])
        return loss + strength * float(pull @ pull) / 2, slope + strength * pull

    start = np.concatenate([np.full(m, 1 / m), np.zeros(k)])
    bounds = [(0.0, None)] * m + [(None, None)] * k
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    coef = np.zeros((k, m, k))
    coef[np.arange(k), :, np.arange(k)] = found[:m]
    return {
        "kind": "logistic",
        "inputs": "logits",
        "least": _LEAST,
        "coef": coef.reshape(k, m * k).tolist(),
        "intercept": found[m:].tolist(),
    }
