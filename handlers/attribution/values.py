"""What an explanation of a model by its features is made of, and what every way of making one answers to.

The game everywhere: the worth of a set S of features, for a sample x, is the mean over background rows b of
the model's answer where S is taken from x and the rest from b. A feature's value is its Shapley value in that
game (Lundberg and Lee 2017; interventional: Janzing, Minorics and Blöbaum 2020), in the space of the answers:
probabilities for classes, the target's own units for numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from . import accounts
from .accounts import Account

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Told the share, 0 to 1, of the work that is done, at least every second or so; raises to stop it.
Tell = Callable[[float], None]


class NotReadable(Exception):
    """A model cannot be taken apart in the way that was tried; explain it by asking it instead."""


@dataclass(frozen=True, slots=True)
class Attributions:
    """The shares of p features in the answers for n samples; c outputs: 1 for numbers and two classes, else k."""

    #: (n, p, c)
    values: Floats
    #: (c,): the mean answer over the background.
    base: Floats
    #: (n, c): the answers for the samples, in the space of the values.
    predictions: Floats
    accounts: Sequence[Account]

    @property
    def method(self) -> str:
        """In words: «interventional TreeSHAP, double precision»."""
        return accounts.method(self.accounts)

    @property
    def exactness(self) -> str:
        """In words, what is known of the error: «exact», «…; standard error 0.003»."""
        return accounts.exactness(self.accounts)

    def additivity_error(self) -> float:
        """max |prediction − base − sum of values|; 0.0 where there is no sample."""
        rest = self.predictions - self.base - self.values.sum(axis=1)
        return float(np.abs(rest).max(initial=0.0))


class Part(Protocol):
    """A model, or a part of one, on tables with the columns `features`, in that order (p of them)."""

    @property
    def features(self) -> list[str]: ...

    @property
    def n_outputs(self) -> int:
        """c: 1 for numbers, 1 for two classes (the answer is the positive one's probability), else k."""

    def answers(self, X: pd.DataFrame) -> Floats:
        """(n, c): probabilities, or values."""

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """Explains the n rows of `X` against the rows of `background`."""
