"""A model that is only asked: what cannot be taken apart is explained by sampling."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from handlers.attribution.accounts import Account
from handlers.attribution.games import TableGame
from handlers.attribution.permutation import METHOD, sampled_values
from handlers.attribution.subsets import enumerated_values, hybrids_of_all
from handlers.attribution.values import Attributions, Floats, Tell

#: Up to so many answers all subsets are asked about: no more than sampling takes.
_ALL_SUBSETS = 400_000


@dataclass(frozen=True, slots=True)
class AskedPart:
    """`ask` takes tables of `features` and gives (n, `n_outputs`) answers."""

    features: list[str]
    n_outputs: int
    ask: Callable[[pd.DataFrame], Floats]
    #: Why it is not taken apart, for a reader; may be empty.
    why: str = ""

    def answers(self, X: pd.DataFrame) -> Floats:
        """See `Part`."""
        return self.ask(X[self.features]) if len(X) else np.zeros((0, self.n_outputs))

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """See `Part`."""
        mine, theirs = X[self.features], background[self.features]
        predictions, base = self.answers(mine), self.answers(theirs).mean(axis=0)
        game, players = TableGame(self.ask, mine, theirs), np.arange(len(self.features))
        because = f" ({self.why})" if self.why else ""
        if hybrids_of_all(game, players) <= _ALL_SUBSETS:
            values = enumerated_values(game, players, self.n_outputs, tell)
            return Attributions(values, base, predictions, [Account(f"all subsets of the features{because}")])
        sampled = sampled_values(game, predictions, base, tell, seed)
        return Attributions(sampled.values, base, predictions, [sampled.account(METHOD + because)])
