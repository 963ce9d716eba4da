"""Weighted sums of models are explained part by part: Shapley values are linear in the game (Shapley 1953)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .accounts import Account, of_sum
from .values import Attributions, Floats, Part, Tell


@dataclass(frozen=True, slots=True)
class Sum:
    """`constant` + sum of `weights` × parts, on tables with `features`, of which each part knows some."""

    features: list[str]
    parts: Sequence[Part]
    weights: Sequence[float]
    constant: float = 0.0

    @property
    def n_outputs(self) -> int:
        return self.parts[0].n_outputs

    def answers(self, X: pd.DataFrame) -> Floats:
        """See `Part`."""
        said = (weight * part.answers(X) for weight, part in zip(self.weights, self.parts, strict=True))
        return np.asarray(self.constant + np.sum(list(said), axis=0))

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """See `Part`."""
        places = {name: place for place, name in enumerate(self.features)}
        values = np.zeros((len(X), len(self.features), self.n_outputs))
        base, predictions = np.full(self.n_outputs, self.constant), np.full((len(X), self.n_outputs), self.constant)
        told: list[list[Account]] = []
        for number, (weight, part) in enumerate(zip(self.weights, self.parts, strict=True)):
            found = part.attributions(X, background, _shared(tell, number, len(self.parts)), seed + number)
            own = [places[name] for name in part.features]
            values[:, own] += weight * found.values
            base, predictions = base + weight * found.base, predictions + weight * found.predictions
            told.append([account.weighed(weight) for account in found.accounts])
        return Attributions(
            values,
            base,
            predictions,
            of_sum(told),
        )


def _shared(tell: Tell, number: int, count: int) -> Tell:
    return lambda share: tell((number + share) / count)
