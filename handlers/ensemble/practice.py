"""The rows that a combination is learned on, and how well it does on such of them as it has not learned from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.splits import Indices
from handlers.units import units_of

from .combining import Floats, combined
from .folds import deal, strata_of

_FOLDS = 5
_MOST_ROWS = 2000
_TINY = np.finfo(np.float64).eps

Combination = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Practice:
    """What m members say of n rows that none of them has seen, and the truth.

    `said`: (m, n, k) probabilities, or (m, n) values. `y`: (n,) class codes or values. `units`: (n,) rows of one
    number belong together.
    """

    said: Floats
    y: np.ndarray[Any, Any]
    units: Indices

    @classmethod
    def of(cls, said: Floats, y: np.ndarray[Any, Any], groups: "np.ndarray[Any, Any] | None") -> "Practice":
        return cls(said, y, units_of(groups, len(y)))

    @property
    def m(self) -> int:
        return len(self.said)

    @property
    def n_units(self) -> int:
        return len(np.unique(self.units))

    @property
    def n_classes(self) -> int | None:
        return self.said.shape[2] if self.said.ndim == 3 else None

    def some(self, chosen: Indices) -> "Practice":
        """Of these rows alone."""
        return Practice(self.said[:, chosen], self.y[chosen], self.units[chosen])

    def thinned(self, seed: int) -> "Practice":
        """Of two thousand rows at most, drawn at random: a few weights need no more."""
        if len(self.y) <= _MOST_ROWS:
            return self
        return self.some(np.sort(np.random.default_rng(seed).choice(len(self.y), _MOST_ROWS, replace=False)))

    def folds(self, seed: int) -> Indices:
        """(n,) the fold of each row, five of them, or as many as there are groups."""
        strata = strata_of(self.y, self.n_classes)
        return deal(strata, self.units, min(_FOLDS, self.n_units), seed)

    def losses(self, answers: Floats) -> Floats:
        """(n,) the log-loss of each row, or its squared error as a share of the variance."""
        if self.n_classes is None:
            return np.asarray((answers - self.y) ** 2 / (self.y.var() or 1.0))
        return np.asarray(-np.log(np.clip(answers[np.arange(len(self.y)), self.y], _TINY, 1)))

    def unseen(self, learn: "Callable[[Practice], Combination]", folds: Indices) -> Floats:
        """What combinations that are learned on all other folds answer for each fold."""
        answers = np.zeros(self.said.shape[1:])
        for fold in np.unique(folds):
            asked = np.flatnonzero(folds == fold)
            answers[asked] = combined(learn(self.some(np.flatnonzero(folds != fold))), self.said[:, asked])
        return answers

    def strongest(self, losses: Floats) -> int:
        """The first of candidates, strongest first, that is as good as the best; their losses are (candidates, n).

        That is, worse by no more than one standard error of the difference, over units: the rule of Breiman, Friedman,
        Olshen and Stone (1984), under which few rows leave things as they are.
        """
        best = int(losses.mean(axis=1).argmin())
        for place in range(best):
            difference = np.bincount(self.units, losses[place] - losses[best])
            error = np.sqrt(((difference - difference.mean()) ** 2).sum())
            if difference.sum() <= error:
                return place
        return best
