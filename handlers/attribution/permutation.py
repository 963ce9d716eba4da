"""Shapley values of a model that can only be asked: orders of its features are sampled, and their mean is taken.

Along an order, features pass from a background row to the sample one by one, and each is given what the answer
changes by. Castro, Gómez and Tejada (2009), «Polynomial calculation of the Shapley value based on sampling»; each
order is walked backwards too, which takes out much of the noise (Mitchell, Cooper, Frank and Holmes 2022, «Sampling
permutations for Shapley value estimation»). Every pair of walks has a background row of its own, and all rows get
their turn.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .accounts import Account
from .games import Game, Ints
from .values import Floats, Tell

#: Pairs of walks for a sample: at least, at most, and hybrids that are asked about in all.
_FEWEST, _MOST, _HYBRIDS = 2, 50, 400_000
_HYBRIDS_OF_WIDE = 2_000_000
#: Hybrids in a block: always the same, as a network in single precision answers otherwise in a block of another size.
_CELLS_AT_ONCE, ROWS_AT_ONCE = 4_000_000, 4096
METHOD = "permutation sampling, forwards and backwards"
_SECONDS_TO_TELL = 0.25


@dataclass(frozen=True, slots=True)
class Sampled:
    """Values (n, p, c) that add up exactly, standard errors of the same shape, and in how many pairs of walks.

    `corrected`: the largest that had to be shared out so that they add up.
    """

    values: Floats
    errors: Floats
    n_pairs: int
    corrected: float

    def account(self, method: str, *also: str) -> Account:
        """What is known of the error, and what is to be said beside."""
        typical = float(np.sqrt((self.errors**2).mean())) if self.errors.size else 0.0
        told = f"{self.n_pairs} pairs of orders a sample; what was missing was shared out by variance"
        return Account(method, "; ".join([told, *also]), typical, float(self.errors.max(initial=0.0)))


@dataclass(frozen=True, slots=True)
class _Pair:
    """An order of the players that differ, walked both ways."""

    sample: int
    row: int
    order: Ints

    @property
    def n_hybrids(self) -> int:
        return 2 * (len(self.order) + 1)


def pairs_for(n_samples: int, n_players: int) -> int:
    """How many pairs of walks a sample gets when nothing else is said. It does not hang on a clock."""
    a_pair = max(1, n_samples) * 2 * (n_players + 1)
    if a_pair * _FEWEST > _HYBRIDS_OF_WIDE:
        return 1
    return int(np.clip(_HYBRIDS // a_pair, _FEWEST, _MOST))


def sampled_values(
    game: Game,
    predictions: Floats,
    base: Floats,
    tell: Tell,
    seed: int,
    n_pairs: int | None = None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Sampled:
    """Shapley values by sampling.

    Args:
        predictions: (n, c) answers for the samples. base: (c,) the mean answer over the background.
        n_pairs: of walks for each sample, None for as many as seem right.
        rows_at_once: hybrids that are asked about together, at most: about as many as are answered in a second.
    """
    n, p, c = game.n_samples, game.n_players, len(base)
    n_pairs = pairs_for(n, p) if n_pairs is None else n_pairs
    sums, squares, apart = (np.zeros((n, p, c)) for _ in range(3))
    blocks = _Blocks(game, rows_at_once)
    walked = blocks.walked(_pairs(game, n_pairs, np.random.default_rng(seed)))
    for done, (pair, there, back) in enumerate(walked, 1):
        mean = (there + back) / 2
        sums[pair.sample, pair.order] += mean
        squares[pair.sample, pair.order] += mean**2
        apart[pair.sample, pair.order] += np.abs(there - back) / 2
        blocks.tell(tell, done / (n * n_pairs))
    values = sums / n_pairs
    errors = apart  # of one pair, what its two walks differ by must do
    if n_pairs > 1:
        errors = np.sqrt(np.maximum(squares / n_pairs - values**2, 0) / (n_pairs - 1))
    tell(1.0)
    return _adding_up(values, errors, predictions - base, n_pairs)


def _pairs(game: Game, n_pairs: int, dice: np.random.Generator) -> Iterator[_Pair]:
    """A player's places in a sample's orders are spread evenly over the whole way (McKay, Beckman and Conover 1979)."""
    rounds = -(-n_pairs // game.n_background)
    strata = np.tile(np.arange(n_pairs)[:, None], game.n_players)
    for sample in range(game.n_samples):
        rows = np.concatenate([dice.permutation(game.n_background) for _ in range(rounds)])
        places = dice.permuted(strata, axis=0) + dice.random(strata.shape)
        for row, place in zip(rows[:n_pairs], places, strict=True):
            players = np.flatnonzero(game.differ(sample, int(row)))
            yield _Pair(sample, int(row), players[np.argsort(place[players])])


class _Blocks:
    """Asks about many short walks at once, and about a long one in pieces. No clock sizes the blocks."""

    def __init__(self, game: Game, rows_at_once: int) -> None:
        self._game = game
        self._at_once = max(2, min(rows_at_once, _CELLS_AT_ONCE // max(1, game.n_players)))
        self._told = time.monotonic()

    def walked(self, pairs: Iterator[_Pair]) -> Iterator[tuple[_Pair, Floats, Floats]]:
        """Each pair with the shares (d, c) of its order's players on the way there and on the way back."""
        some: list[_Pair] = []
        for pair in pairs:
            some.append(pair)
            if sum(one.n_hybrids for one in some) >= self._at_once:
                yield from self._shares(some)
                some = []
        if some:
            yield from self._shares(some)

    def tell(self, tell: Tell, share: float) -> None:
        """Passes progress on, not more often than anyone could read it."""
        if time.monotonic() - self._told > _SECONDS_TO_TELL:
            self._told = time.monotonic()
            tell(share)

    def _shares(self, pairs: list[_Pair]) -> Iterator[tuple[_Pair, Floats, Floats]]:
        answers = self._answers(pairs)
        at = 0
        for pair in pairs:
            d = len(pair.order)
            there, back = answers[at : at + d + 1], answers[at + d + 1 : at + 2 * (d + 1)]
            at += pair.n_hybrids
            # On the way back the last of the order comes first.
            yield pair, np.diff(there, axis=0), np.diff(back, axis=0)[::-1]

    def _answers(self, pairs: list[_Pair]) -> Floats:
        found: list[Floats] = []
        owner = np.repeat(np.arange(len(pairs)), [pair.n_hybrids for pair in pairs])
        step = np.concatenate([np.tile(np.arange(len(pair.order) + 1), 2) for pair in pairs])
        is_back = np.concatenate([np.repeat([False, True], len(pair.order) + 1) for pair in pairs])
        ranks = np.full((len(pairs), self._game.n_players), -1)
        for number, pair in enumerate(pairs):
            ranks[number, pair.order] = np.arange(len(pair.order))
        lengths = np.array([len(pair.order) for pair in pairs])
        samples, rows = (np.array([getattr(pair, name) for pair in pairs]) for name in ("sample", "row"))
        begin = 0
        while begin < len(owner):
            here = slice(begin, begin + self._at_once)
            begin += self._at_once
            who, at, back = owner[here], step[here][:, None], is_back[here][:, None]
            rank, length = ranks[who], lengths[who][:, None]
            masks = np.where(back, rank >= length - at, (rank < at) & (rank >= 0))
            found.append(self._game.ask(samples[who], rows[who], masks))
        return np.concatenate(found)


def _adding_up(values: Floats, errors: Floats, total: Floats, n_pairs: int) -> Sampled:
    """Shares out what is missing, by variance: what is known exactly stays as it is."""
    rest = total - values.sum(axis=1)
    variance = errors**2
    all_of_it = variance.sum(axis=1)
    # Where nothing varied but rows were left out, by size.
    size = np.abs(values)
    weights = np.where(all_of_it[:, None] > 0, variance, size)
    whole = weights.sum(axis=1)
    shares = np.where(whole[:, None] > 0, weights / np.where(whole, whole, 1)[:, None], 0.0)
    return Sampled(values + shares * rest[:, None], errors, n_pairs, float(np.abs(rest).max(initial=0.0)))
