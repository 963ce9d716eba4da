"""All subsets of few players asked about: exact for any model that answers quickly."""

import time

import numpy as np

from .enumeration import shares_of_table
from .games import Game, Ints
from .values import Floats, Tell

_AT_ONCE, _SECONDS = 4_000, 0.25


def hybrids_of_all(game: Game, players: Ints) -> int:
    """How many answers it takes."""
    return int((1 << min(len(players), 60)) * game.n_samples * game.n_background)


def enumerated_values(game: Game, players: Ints, n_outputs: int, tell: Tell) -> Floats:
    """(n, p, c) Shapley values, exact but for the model's own rounding.

    Args:
        players: those that can make a difference; the others have no share.
    """
    n, m, d = game.n_samples, game.n_background, len(players)
    subsets = np.zeros((1 << d, game.n_players), dtype=bool)
    subsets[:, players] = (np.arange(1 << d)[:, None] >> np.arange(d)) & 1
    values = np.zeros((n, game.n_players, n_outputs))
    rows_at_once, told = max(1, _AT_ONCE >> d), time.monotonic()
    for sample in range(n):
        worth = np.zeros((1 << d, n_outputs))
        for begin in range(0, m, rows_at_once):
            rows = np.arange(begin, min(begin + rows_at_once, m))
            asked = (np.full(len(rows) << d, sample), np.repeat(rows, 1 << d), np.tile(subsets, (len(rows), 1)))
            # A mean over rows first: Shapley values are linear in the game.
            worth += game.ask(*asked).reshape(len(rows), 1 << d, n_outputs).sum(axis=0) / m
            if time.monotonic() - told > _SECONDS:
                told = time.monotonic()
                tell((sample + (rows[-1] + 1) / m) / n)
        if d:
            shares = np.zeros((d, n_outputs))
            shares_of_table(np.ascontiguousarray(worth.T), d, shares)
            values[sample, players] = shares
    return values
