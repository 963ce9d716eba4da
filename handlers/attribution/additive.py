"""Sums of one term a feature, through a link: linear and logistic models, additive networks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import links
from .accounts import Account
from .additive_pairs import shares_of_sum
from .orders import FAR, REPEATS, TWICE_EVERY, draw_places, first_state, standard_error
from .sampling_words import ALL_SAMPLED, sampled_pairs
from .values import Attributions, Floats, Tell

METHOD = "additive terms, double precision"
#: Cells of a table whose margins are reckoned at once.
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class AdditivePart:
    """Answers link(bias + Σ terms): `terms` makes (n, p, K) numbers of a table, each from its own column alone.

    `bias` (K,); `link` one of links.IDENTITY, SIGMOID, SOFTMAX. Two classes by the softmax are one margin, so that
    there is one output. `margins`: (n, K) of a table, bias + Σ terms, where that takes less memory than the terms.
    """

    features: list[str]
    terms: Callable[[pd.DataFrame], Floats]
    bias: Floats
    link: int
    margins: Callable[[pd.DataFrame], Floats] | None = None

    @property
    def n_outputs(self) -> int:
        return 1 if self._two_classes else len(self.bias)

    @property
    def _two_classes(self) -> bool:
        return self.link == links.SOFTMAX and len(self.bias) == 2

    def answers(self, X: pd.DataFrame) -> Floats:
        some = max(1, _CELLS_AT_ONCE // max(1, len(self.features)))
        said = [self._some_answers(X.iloc[begin : begin + some]) for begin in range(0, len(X), some)]
        return np.concatenate(said) if said else np.zeros((0, self.n_outputs))

    def _some_answers(self, X: pd.DataFrame) -> Floats:
        if self.margins is None:
            return links.answers(self._link, self._bias + self._terms(X).sum(axis=1))
        margins = np.asarray(self.margins(X[self.features]), dtype=np.float64)
        if self._two_classes:
            margins = margins[:, 1:] - margins[:, :1]
        return links.answers(self._link, np.ascontiguousarray(margins))

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        mine, theirs = self._terms(X), self._terms(background)
        starts, predictions = self._bias + theirs.sum(axis=1), self.answers(X)
        base = links.answers(self._link, starts).mean(axis=0)
        if self._link == links.IDENTITY:
            values, account = mine - theirs.mean(axis=0), Account(METHOD)
            tell(1.0)
        else:
            values, account = self._through_link(mine, theirs, starts, tell, seed)
        return Attributions(values, base, predictions, [account])

    def _through_link(
        self, mine: Floats, theirs: Floats, starts: Floats, tell: Tell, seed: int
    ) -> tuple[Floats, Account]:
        (n, p, k), m = mine.shape, len(theirs)
        values, errors, places = np.zeros((n, p, k)), np.zeros((n, p, k)), np.zeros((REPEATS, m, p))
        sampled, done = 0, 0
        for i in range(n):
            draw_places(first_state(seed, i), places)
            rest = np.zeros((REPEATS, p, k))
            for b in range(m):  # one after another: a row of 20,000 features takes its time
                place = places[: 1 if b % TWICE_EVERY else 2, b]
                moves = (mine[i] - theirs[b])[None]
                factors = np.exp(np.minimum(moves, FAR)) if self._link == links.SOFTMAX else moves
                sampled += shares_of_sum(self._link, moves, factors, starts[b], place, values[i], rest)
                done += 1
                tell(done / (n * m))
            values[i] = (values[i] + rest[0]) / m
            errors[i] = standard_error(rest[1], m)
        return values, sampled_pairs(METHOD, ALL_SAMPLED, sampled, n * m, errors)

    @property
    def _link(self) -> int:
        return links.SIGMOID if self._two_classes else self.link

    @property
    def _bias(self) -> Floats:
        return self.bias[1:] - self.bias[:1] if self._two_classes else self.bias

    def _terms(self, X: pd.DataFrame) -> Floats:
        terms = np.asarray(self.terms(X[self.features]), dtype=np.float64)
        return np.ascontiguousarray(terms[:, :, 1:] - terms[:, :, :1] if self._two_classes else terms)
