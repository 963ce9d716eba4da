"""Shares in trees for one sample against all background rows, through a link.

Where at most a dozen players differ between the two rows, all subsets' margins are found from the leaves and
the values are exact. Above that the exact shares in the margins are carried to the answers by the link's mean
slope, and what that leaves out is sampled along orders (see orders.py): right on average, with little noise.
"""

import numpy as np

from .compiled import compiled
from .enumeration import LIMIT, answer_table, shares_of_table, sum_over_subsets
from .links import mean_slope
from .orders import FAR, TWICE_EVERY, Integers, remainder_of_order, settle, sort_by_place
from .packed_trees import Array
from .tree_pairs import ROOM, add_moves, add_shares, add_to_table, part_ways
from .tree_routes import TREES
from .values import Floats


@compiled(f"i8({TREES}, i1[::1], i1[::1], {ROOM}, i4[:,::1], i8[:,::1], i1[::1], i8[::1])")
def _parting(
    trees: tuple[Array, ...],
    mine: Array,
    theirs: Array,
    room: tuple[Array, ...],
    small: Array,
    active: Integers,
    seen: Array,
    found: Integers,
) -> int:
    """Fills `small`; in `active` (begin, output) of each tree with a part in it; returns their number.

    `found` becomes the number of players that differ, and those. `seen` comes and goes as zeros.
    """
    count, size = 0, 0
    found[0] = 0
    for t in range(len(trees[3])):
        end = part_ways(trees, t, mine, theirs, room, small, size)
        if end == size:
            continue
        active[count, 0], active[count, 1] = size, trees[3][t]
        count += 1
        for s in range(size, end):
            f = small[s, 0]
            if f >= 0 and not seen[f]:
                seen[f] = 1
                found[0] += 1
                found[found[0]] = f
        size = end
    for q in range(found[0]):
        seen[found[q + 1]] = 0
    return count


@compiled(f"void(i8, f8[:,::1], i4[:,::1], i8[:,::1], i8[::1], {ROOM}, i8[::1], f8[::1], f8[:,::1], f8[:,::1])")
def _exact(
    link: int,
    value: Floats,
    small: Array,
    active: Integers,
    players: Integers,
    room: tuple[Array, ...],
    number: Integers,
    start: Floats,
    table: Floats,
    out: Floats,
) -> None:
    """Adds the pair's shares in the answers, from all subsets of the players that differ."""
    k, count = len(start), len(players)
    for q in range(count):
        number[players[q]] = q
    table[:, : 1 << count] = 0.0
    for a in range(len(active)):
        add_to_table(value, small, active[a, 0], active[a, 1], room, number, table)
    for c in range(k):
        table[c, 0] = start[c]
    sum_over_subsets(table, count)
    answer_table(link, table, count)
    shares = np.empty((count, k))
    shares_of_table(table, count, shares)
    for q in range(count):
        for c in range(k):
            out[players[q], c] += shares[q, c]


@compiled("void(f8[:,::1], i8[::1], f8[:,::1], f8[:,::1])")
def _carry(slope: Floats, players: Integers, shares: Floats, out: Floats) -> None:
    """Shares in the margins become shares in the answers; `shares` are zeros again afterwards."""
    k = out.shape[1]
    for q in range(len(players)):
        f = players[q]
        for j in range(k):
            share = shares[f, j]
            if share != 0.0:
                for c in range(k):
                    out[f, c] += slope[c, j] * share
                shares[f, j] = 0.0


@compiled(
    f"void(i8, f8[:,::1], i4[:,::1], i8[:,::1], i8[::1], {ROOM}, f8[::1], f8[:,:,::1], i8, f8[:,::1], "
    "f8[:,:,::1], f8[:,:,::1])"
)
def _sampled(
    link: int,
    value: Floats,
    small: Array,
    active: Integers,
    players: Integers,
    room: tuple[Array, ...],
    start: Floats,
    places: Floats,
    b: int,
    slope: Floats,
    ways: Floats,
    out: Floats,
) -> None:
    """Adds what the slope leaves out, and how far two draws of it are apart."""
    count, k = len(players), len(start)
    order, place, span = np.empty(count, np.int64), np.empty(places.shape[2]), np.empty(len(room[2]))
    twice = b % TWICE_EVERY == 0
    for r in range(2 if twice else 1):
        sort_by_place(players, places[r, b], order)
        for way in range(2):
            for q in range(count):
                f = players[q]
                place[f] = places[r, b, f] if way == 0 else 1.0 - places[r, b, f]
                for c in range(k):
                    ways[way, f, c] = 0.0
            for a in range(len(active)):
                add_moves(value, small, active[a, 0], active[a, 1], room[2], span, place, ways[way])
        for way in range(2 if link == 2 else 0):
            for q in range(count):
                for c in range(k):
                    move = ways[way, players[q], c]
                    ways[4 + way, players[q], c] = np.exp(min(move, FAR)) if move != 0.0 else 1.0
        remainder_of_order(link, start, order, ways[:2], ways[4:], slope, ways[2 + r])
    settle(players, ways[2:4], twice, out)


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
    """Adds sums over m background rows to `out` (p, K) and `remainder` (see settle): how many pairs were sampled.

    `mine` and `theirs` are routes, `end` and `starts` margins, `places` (repeats, m, p) those of the orders.
    """
    p, k = out.shape
    room = (np.zeros(p, np.int8), np.zeros(depth + 1, np.int64), np.zeros((depth + 1, 4), np.int64))
    small, every = np.zeros((len(mine), 3), np.int32), np.zeros((len(trees[3]), 2), np.int64)
    seen, found, number = np.zeros(p, np.int8), np.zeros(p + 1, np.int64), np.zeros(p, np.int64)
    table, slope = np.zeros((k, (1 << LIMIT) if link else 1)), np.zeros((k, k))
    shares, ways = np.zeros((p, k)), np.zeros((6, p, k))
    value, beyond = trees[2], 0
    for b in range(len(theirs)):
        active = every[: _parting(trees, mine, theirs[b], room, small, every, seen, found)]
        players = found[1 : found[0] + 1]
        if link and len(players) <= LIMIT:
            if len(players):
                _exact(link, value, small, active, players, room, number, starts[b], table, out)
            continue
        for a in range(len(active)):
            add_shares(value, small, active[a, 0], active[a, 1], room, weights, shares)
        mean_slope(link, starts[b], end, slope)
        _carry(slope, players, shares, out)
        if link:
            beyond += 1
            _sampled(link, value, small, active, players, room, starts[b], places, b, slope, ways, remainder)
    return beyond
