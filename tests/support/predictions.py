"""Predictions that are made up, of classes and of quantities, with ties among them."""

import numpy as np

from handlers.metrics import Predictions


def classes(k: int, n: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    probabilities = rng.dirichlet(np.ones(k), n)
    probabilities[np.arange(n), y] += 0.3
    probabilities = np.round(probabilities / probabilities.sum(axis=1, keepdims=True), 2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Predictions(y, probabilities.argmax(axis=1), probabilities)


def quantities(n: int) -> Predictions:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 50, n).astype(float)
    return Predictions(y, np.round(y + rng.normal(size=n) * 10))
