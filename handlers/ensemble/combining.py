"""How the answers of members become one. A copy of this file is in every ensemble's artifact: it needs NumPy alone.

`combination` is what combination.json holds: `method`, `voting`, `weights` (m, sum 1) or `meta`. `said` is what m
members say of n rows: probabilities (m, n, k) of k classes, or values (m, n).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


def combined(combination: Mapping[str, Any], said: Floats) -> Floats:
    """(n, k) probabilities whose largest is the answer, or (n,) values."""
    meta = combination["meta"]
    if meta is not None:
        return _logistic(meta, said) if meta["kind"] == "logistic" else _ridge(meta, said)
    weights = np.asarray(combination["weights"], dtype=float)
    if combination["voting"] == "hard":
        return _votes(weights, said)
    return _normalised(np.tensordot(weights, said, axes=1))


def _votes(weights: Floats, said: Floats) -> Floats:
    """Shares of votes with a small part of the mean probabilities, which breaks ties and rules nothing out.

    The part is at most that of one more member, and so small that no majority is turned round, however narrow.
    """
    m, _, k = said.shape
    cast = said.argmax(axis=2)[:, :, None] == np.arange(k)
    shares = np.round(np.tensordot(weights, cast.astype(float), axes=1), 12)
    most = shares.max(axis=1, keepdims=True)
    lead = (most - np.where(shares < most, shares, -np.inf).max(axis=1, keepdims=True, initial=0.0)) / 2
    part = np.minimum(1 / (m + 1), lead / (1 + lead))
    return _normalised((1 - part) * shares + part * np.tensordot(weights, said, axes=1))


def logarithms(said: Floats, least: float) -> Floats:
    """(n, m * k): logarithms of the probabilities, member by member, none below that of `least`."""
    m, n, k = said.shape
    return np.log(np.clip(said, least, 1)).transpose(1, 0, 2).reshape(n, m * k)


def _logistic(meta: Mapping[str, Any], said: Floats) -> Floats:
    """The softmax of `logarithms` @ coef.T + intercept, with coef (k, m * k) and intercept (k,)."""
    scores = logarithms(said, meta["least"]) @ np.asarray(meta["coef"]).T + np.asarray(meta["intercept"])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return _normalised(powers)


def _ridge(meta: Mapping[str, Any], said: Floats) -> Floats:
    """The values @ coef + intercept, with coef (1, m) and intercept (1,)."""
    return np.asarray(said.T @ np.asarray(meta["coef"])[0] + meta["intercept"][0])


def _normalised(answers: Floats) -> Floats:
    return answers / answers.sum(axis=1, keepdims=True) if answers.ndim == 2 else answers
