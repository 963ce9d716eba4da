"""Shares in the leaves of trees that are summed as they are, leaf by leaf and exact.

For a leaf, a row is a set of bits: one for each player on the way down, set where the row keeps to that way in
all of the player's splits. A sample and a background row together reach the leaf where every bit is set in one
of them, and the sets alone tell the leaf's Shapley values (as in Laberge and Pequignot 2022); rows with the
same sets are reckoned once (as in Nadel and Wettenstein 2025).
"""

import numpy as np

from .compiled import Whole, compiled
from .packed_trees import Array
from .tree_routes import TREES
from .values import Floats

#: A leaf may have this many players on its way.
MOST_PLAYERS = 62


@compiled("i8(u8[::1], u8[::1], i8[::1], i8[::1])")
def _groups(masks: Array, distinct: Array, counts: Array, group: Array) -> int:
    """Equal masks together: returns how many distinct ones there are."""
    found = 0
    for i in range(len(masks)):
        g = 0
        while g < found and distinct[g] != masks[i]:
            g += 1
        if g == found:
            distinct[g], counts[g] = masks[i], 0
            found += 1
        counts[g] += 1
        group[i] = g
    return found


@compiled("void(u8, u8[::1], i8[::1], i8, i8, f8[:,::1], f8[::1])")
def _coefficients(
    mine: int, theirs: Array, counts: Array, found: int, players: int, weights: Floats, out: Floats
) -> None:
    """How much of the leaf goes to each player, for samples with the bits `mine` and all background rows."""
    full = (np.uint64(1) << np.uint64(players)) - np.uint64(1)
    one = np.uint64(1)
    for q in range(players):
        out[q] = 0.0
    for g in range(found):
        other = theirs[g]
        if (mine | other) != full or mine == other:
            continue
        u, w = np.int64(0), np.int64(0)
        for q in range(players):
            u += np.int64((mine & ~other) >> np.uint64(q) & one)
            w += np.int64((other & ~mine) >> np.uint64(q) & one)
        with_ = counts[g] * weights[u - 1, w] if u else 0.0
        without = counts[g] * weights[u, w - 1] if w else 0.0
        for q in range(players):
            if not other >> np.uint64(q) & one:
                out[q] += with_
            elif not mine >> np.uint64(q) & one:
                out[q] -= without


@compiled("void(u8[:,::1], i8, u8, i1[::1], i1, b1)")
def _step(masks: Array, depth: int, bit: Whole, rights: Array, side: Whole, known: bool) -> None:
    """The rows' bits one split further down."""
    for i in range(masks.shape[1]):
        before = masks[depth - 1, i]
        if rights[i] == side:
            masks[depth, i] = before if known else before | bit
        else:
            masks[depth, i] = before & ~bit


@compiled(f"b1({TREES}, i8, i8, i8, i8, i1[:,::1], i1[:,::1], f8[:,::1], f8[:,:,::1])")
def leaf_shares(
    trees: tuple[Array, ...],
    first: int,
    last: int,
    offset: int,
    depth: int,
    mine: Array,
    theirs: Array,
    weights: Floats,
    out: Floats,
) -> bool:
    """Adds the trees first … last to `out` (n, players, K), summed over the background; False: too many players.

    `mine` (nodes, n) and `theirs` (nodes, m): the routes at nodes from `offset` on.
    """
    child, player, value, output, roots = trees
    n, m, width = mine.shape[1], theirs.shape[1], value.shape[1]
    x, b = np.zeros((depth + 1, n), np.uint64), np.zeros((depth + 1, m), np.uint64)
    path, counts = np.zeros(depth + 1, np.int64), np.zeros(depth + 1, np.int64)
    stack, parents, depths = np.zeros((3, 2 * depth + 2), np.int64)
    different, sizes, group = np.zeros(n, np.uint64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    others, other_sizes, other_group = np.zeros(m, np.uint64), np.zeros(m, np.int64), np.zeros(m, np.int64)
    shares = np.zeros((n, depth + 1))
    for t in range(first, last):
        top = 1
        stack[0], parents[0], depths[0] = roots[t], -1, 0
        while top:
            top -= 1
            j, parent, d = stack[top], parents[top], depths[top]
            if d:
                f, q = player[parent], 0
                side = np.int8(0 if child[parent, 0] == j else 1)
                while q < counts[d - 1] and path[q] != f:
                    q += 1
                known = q < counts[d - 1]
                path[q], counts[d] = f, counts[d - 1] + (0 if known else 1)
                if counts[d] > MOST_PLAYERS:
                    return False
                bit = np.uint64(1) << np.uint64(q)
                _step(x, d, bit, mine[parent - offset], side, known)
                _step(b, d, bit, theirs[parent - offset], side, known)
            if child[j, 0] >= 0:
                for side_ in range(2):
                    stack[top], parents[top], depths[top] = child[j, side_], j, d + 1
                    top += 1
            elif d:
                found = _groups(x[d], different, sizes, group)
                their = _groups(b[d], others, other_sizes, other_group)
                for g in range(found):
                    _coefficients(different[g], others, other_sizes, their, counts[d], weights, shares[g])
                for i in range(n):
                    for q in range(counts[d]):
                        if shares[group[i], q] != 0.0:
                            for k in range(width):
                                out[i, path[q], output[t] + k] += shares[group[i], q] * value[j, k]
    return True
