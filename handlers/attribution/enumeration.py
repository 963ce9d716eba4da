"""Shapley values from the worth of every subset: exact, for up to a dozen players."""

import numpy as np

from .compiled import compiled
from .links import answer_into
from .values import Floats

#: 4,096 subsets.
LIMIT = 12


@compiled("void(f8[:,::1], i8, f8[:,::1])")
def shares_of_table(table: Floats, players: int, out: Floats) -> None:
    """Writes (players, c) Shapley values (Shapley 1953) from the worths in `table` (c, ≥ 2 ** players).

    Bit i of a column's number tells whether player i is in the subset.
    """
    count = 1 << players
    with_, without = np.empty(players + 1), np.empty(players + 1)
    with_[0], without[players] = 0.0, 0.0
    weight = 1.0 / players
    for size in range(players):  # size! (players − 1 − size)! / players!
        without[size], with_[size + 1] = weight, weight
        if size + 1 < players:
            weight *= (size + 1) / (players - 1 - size)
    sizes = np.zeros(count, np.int64)
    for subset in range(1, count):
        sizes[subset] = sizes[subset >> 1] + (subset & 1)
    for c in range(len(table)):
        absent = 0.0
        for i in range(players):
            out[i, c] = 0.0
        for subset in range(count):
            size, worth = sizes[subset], table[c, subset]
            absent += worth * without[size]
            both = worth * (with_[size] + without[size])
            for i in range(players):
                if subset >> i & 1:
                    out[i, c] += both
        for i in range(players):
            out[i, c] -= absent


@compiled("void(f8[:,::1], i8)")
def sum_over_subsets(table: Floats, players: int) -> None:
    """Every column becomes the sum of the columns of its subsets (the zeta transform; Yates 1937)."""
    count = 1 << players
    for c in range(len(table)):
        for i in range(players):
            step = 1 << i
            for block in range(0, count, 2 * step):
                for subset in range(block, block + step):
                    table[c, subset + step] += table[c, subset]


@compiled("void(i8, f8[:,::1], i8)")
def answer_table(link: int, table: Floats, players: int) -> None:
    """Margins of all subsets, (K, ≥ 2 ** players), become answers."""
    margin, there = np.empty(len(table)), np.empty(len(table))
    for subset in range(1 << players):
        for c in range(len(table)):
            margin[c] = table[c, subset]
        answer_into(link, margin, there)
        for c in range(len(table)):
            table[c, subset] = there[c]
