"""Shares in trees for one sample against all background rows, through a link.

Where at most a dozen players differ between the two rows, all subsets' margins are found from the leaves and
the values are exact. Above that the exact shares in the margins are carried to the answers by the link's mean
slope, and what that leaves out is sampled along orders (see orders.py): right on average, with little noise.
"""

import numpy as np

from .compiled import compiled
from .enumeration import LIMIT, answer_table, shares_of_table, sum_over_subsets
from .links import mean_slope
from .orders import Integers, add_remainder, sort_by_place
from .packed_trees import Array
from .tree_pairs import ROOM, differences, hybrids, moves
from .tree_routes import TREES
from .values import Floats


@compiled(f"void(i8, {TREES}, {ROOM}, i1[::1], i1[::1], f8[::1], f8[:,::1], i8[::1], i8[::1], f8[:,::1], f8[:,::1])")
def _exact(
    link: int,
    trees: tuple[Array, ...],
    room: tuple[Array, ...],
    mine: Array,
    theirs: Array,
    start: Floats,
    weights: Floats,
    found: Integers,
    active: Integers,
    table: Floats,
    out: Floats,
) -> None:
    """Adds the pair's shares in the answers, from all subsets of the players that differ."""
    players = found[0]
    k = len(start)
    for q in range(players):
        room[1][found[q + 1]] = q
    table[:, : 1 << players] = 0.0
    for a in range(active[0]):
        hybrids(trees, active[a + 1], room, mine, theirs, weights, True, table)
    for c in range(k):
        table[c, 0] = start[c]
    sum_over_subsets(table, players)
    answer_table(link, table, players)
    shares = np.empty((players, k))
    shares_of_table(table, players, shares)
    for q in range(players):
        for c in range(k):
            out[found[q + 1], c] += shares[q, c]


@compiled(
    f"void(i8, {TREES}, i1[::1], i1[::1], f8[::1], i8[::1], i8[::1], "
    "f8[:,:,::1], i8, f8[:,::1], f8[:,:,::1], f8[:,:,::1])"
)
def _sampled(
    link: int,
    trees: tuple[Array, ...],
    mine: Array,
    theirs: Array,
    start: Floats,
    found: Integers,
    active: Integers,
    places: Floats,
    b: int,
    slope: Floats,
    ways: Floats,
    out: Floats,
) -> None:
    """Adds what the slope leaves out, once for each repeat."""
    count, k = found[0], len(start)
    players = found[1 : count + 1]
    order, place = np.empty(count, np.int64), np.empty(places.shape[2])
    for r in range(len(places)):
        for q in range(count):
            for c in range(k):
                ways[0, players[q], c] = ways[1, players[q], c] = 0.0
        sort_by_place(players, count, places[r, b], order)
        for way in range(2):
            for q in range(count):
                at = places[r, b, players[q]]
                place[players[q]] = at if way == 0 else 1.0 - at
            for a in range(active[0]):
                moves(trees, active[a + 1], mine, theirs, place, ways[way])
        add_remainder(link, start, order, count, ways[0], ways[1], slope, out[r])


@compiled(
    f"i8(i8, {TREES}, i8, i1[::1], i1[:,::1], f8[::1], f8[:,::1], f8[:,::1], f8[:,:,::1], f8[:,::1], f8[:,:,::1])"
)
def shares_of_sample(
    link: int,
    trees: tuple[Array, ...],
    depth: int,
    mine: Array,
    theirs: Array,
    end: Floats,
    starts: Floats,
    weights: Floats,
    places: Floats,
    out: Floats,
    remainder: Floats,
) -> int:
    """Adds sums over m background rows to `out` (p, K) and `remainder` (repeats, p, K): how many pairs were sampled.

    `mine` and `theirs` are routes, `end` and `starts` margins, `places` (repeats, m, p) those of the orders.
    """
    p, k = out.shape
    room = (
        np.zeros(p, np.int8),
        np.zeros(p, np.int64),
        np.zeros(depth + 1, np.int64),
        np.zeros(depth + 1, np.int64),
        np.zeros(depth + 1, np.int64),
    )
    found, active = np.zeros(p + 1, np.int64), np.zeros(len(trees[3]) + 1, np.int64)
    seen, stack = np.zeros(p, np.int8), np.zeros(depth + 2, np.int64)
    table, slope = np.zeros((k, (1 << LIMIT) if link else 1)), np.zeros((k, k))
    shares, ways = np.zeros((p, k)), np.zeros((2, p, k))
    beyond = 0
    for b in range(len(theirs)):
        differences(trees, mine, theirs[b], found, active, stack, seen)
        if link and found[0] <= LIMIT:
            if found[0]:
                _exact(link, trees, room, mine, theirs[b], starts[b], weights, found, active, table, out)
            continue
        for a in range(active[0]):
            hybrids(trees, active[a + 1], room, mine, theirs[b], weights, False, shares)
        mean_slope(link, starts[b], end, slope)
        for q in range(found[0]):
            f = found[q + 1]
            for c in range(k):
                for j in range(k):
                    out[f, c] += slope[c, j] * shares[f, j]
            for j in range(k):
                shares[f, j] = 0.0
        if link:
            beyond += 1
            _sampled(link, trees, mine, theirs[b], starts[b], found, active, places, b, slope, ways, remainder)
    return beyond
