"""Shares in a sum of terms for one pair of rows, through a link: exact for a dozen players, without bias above."""

import numpy as np

from .compiled import compiled
from .enumeration import LIMIT, answer_table, shares_of_table
from .orders import Integers, remainder_of_order, settle, sort_by_place
from .values import Floats


@compiled("void(i8, f8[:,::1], f8[::1], i8[::1], f8[:,::1])")
def _exact(link: int, moves: Floats, start: Floats, players: Integers, out: Floats) -> None:
    k, count = len(start), len(players)
    table, shares = np.empty((k, 1 << count)), np.empty((count, k))
    for c in range(k):
        table[c, 0] = start[c]
        for q in range(count):
            for subset in range(1 << q):
                table[c, subset + (1 << q)] = table[c, subset] + moves[players[q], c]
    answer_table(link, table, count)
    shares_of_table(table, count, shares)
    for q in range(count):
        for c in range(k):
            out[players[q], c] += shares[q, c]


@compiled("i8(i8, f8[:,:,::1], f8[:,:,::1], f8[::1], f8[:,:], f8[:,::1], f8[:,:,::1])")
def shares_of_sum(
    link: int, moves: Floats, factors: Floats, start: Floats, places: Floats, out: Floats, remainder: Floats
) -> int:
    """Adds one pair's shares to `out` (p, K) and, where they are sampled, to `remainder` (see settle).

    `moves` (1, p, K): the sample's terms less the background row's, `factors` as in orders; `places` (1 or 2, p).
    Returns 1 if sampled.
    """
    p, k = out.shape
    players, count = np.empty(p, np.int64), 0
    for f in range(p):
        for c in range(k):
            if moves[0, f, c] != 0.0:
                players[count] = f
                count += 1
                break
    players = players[:count]
    if count <= LIMIT:
        if count:
            _exact(link, moves[0], start, players, out)
        return 0
    # A term moves the margins alike in every order: carrying it by a slope would take no noise away.
    order, nothing = np.empty(count, np.int64), np.empty((0, 0))
    drawn = np.empty((2, p, k))
    for r in range(len(places)):
        sort_by_place(players, np.ascontiguousarray(places[r]), order)
        remainder_of_order(link, start, order, moves, factors, nothing, drawn[r])
    settle(players, drawn, len(places) == 2, remainder)
    return 1
