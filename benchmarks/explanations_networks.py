"""Networks as they are made, untrained, and an ensemble, with the methods that scikit-learn's models have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from handlers.anatomy.networks import network_part
from handlers.anatomy.opened import NETWORK, Opened
from handlers.attribution.values import Part
from handlers.networks.network import build
from handlers.networks.predicting import predict_probabilities, predict_values
from handlers.networks.table import TableEncoder

Array = np.ndarray[Any, Any]

ARCHITECTURES = ("cnn_1d", "cnn_2d", "rnn", "lstm", "transformer")


class Net:
    """Random weights bend as sharply as trained ones, and take no time to train."""

    def __init__(self, problem: str, architecture: str) -> None:
        self._problem, self._architecture = problem, architecture

    @staticmethod
    def maker(architecture: str) -> Callable[[str, int], Any]:
        """As the other models' makers; a network has no trees."""
        return lambda problem, trees: Net(problem, architecture)

    def fit(self, X: Array, y: Array) -> "Net":
        """Learns the scale of the columns alone."""
        p, k = X.shape[1], 1 if self._problem == "regression" else len(np.unique(y))
        self._table = TableEncoder().fit(self._named(X))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            told = {"version": 1, "n_features": p, "n_outputs": k, "dropout": 0.2}
            self._network = build({**told, "encoder": {"name": self._architecture, "n_features": p}}).eval()
            self._network.weight.copy_(torch.randn(k, p) / p**0.5)
        self._network.mean.copy_(torch.as_tensor(X.mean(axis=0)))
        self._network.scale.copy_(torch.as_tensor(X.std(axis=0)))
        self._network.mix.fill_(0.5)
        self._classes = None if self._problem == "regression" else list(range(k))
        return self

    def predict(self, X: Array) -> Array:
        return predict_values(self._network, self._table, self._named(X))

    def predict_proba(self, X: Array) -> Array:
        return predict_probabilities(self._network, self._table, self._named(X))

    def part(self, names: list[str]) -> Part:
        """As an explanation takes it apart."""
        told = Opened(Path(), NETWORK, {"features": names, "classes": self._classes})
        return network_part(told, self._network, self._table)

    def _named(self, X: Array) -> pd.DataFrame:
        return pd.DataFrame(X, columns=[f"gene {i}" for i in range(X.shape[1])])


class Blend:
    """Half of each member's answer."""

    def __init__(self, *members: Any) -> None:
        self.members = members

    def fit(self, X: Array, y: Array) -> "Blend":
        for member in self.members:
            member.fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        return np.mean([member.predict(X) for member in self.members], axis=0)

    def predict_proba(self, X: Array) -> Array:
        return np.mean([member.predict_proba(X) for member in self.members], axis=0)
