"""One tree and one pair of rows: the small tree of the splits at which they part, and what is read from it.

Mixtures of the two rows, some features from the one and the rest from the other, only ever reach its leaves. The
shares read from it are those of interventional TreeSHAP (Lundberg et al. 2020).

A small tree is rows of (player, next on the sample's side, next on the background's side); (−1, node, 0) is a leaf.
"""

import numpy as np

from .compiled import Whole, compiled
from .orders import Integers
from .packed_trees import Array
from .tree_routes import TREES
from .values import Floats

#: Room to work in: each player's side, which comes and goes as zeros; the players on the way; what to come back to
#: (three numbers), and in a fourth column which of the players on the way are on the sample's side.
ROOM = "Tuple((i1[::1], i8[::1], i8[:,::1]))"


@compiled(f"i8({TREES}, i8, i1[::1], i1[::1], {ROOM}, i4[:,::1], i8)")
def part_ways(
    trees: tuple[Array, ...], t: int, mine: Array, theirs: Array, room: tuple[Array, ...], small: Array, size: int
) -> int:
    """Writes one tree's small tree from row `size` on; returns the first free row: the same, if the rows never part."""
    child, player, _, _, roots = trees
    side, path, back = room
    begin, j, length, top, parent, branch = size, np.int64(roots[t]), 0, 0, np.int64(-1), 1
    while True:
        while child[j, 0] >= 0:
            x, b = mine[j], theirs[j]
            if x == b or side[player[j]] == 1:
                j = np.int64(child[j, x])
            elif side[player[j]] == 2:
                j = np.int64(child[j, b])
            else:
                small[size, 0] = player[j]
                if parent >= 0:
                    small[parent, branch] = size
                back[top, 0], back[top, 1], back[top, 2] = child[j, b], length, size
                path[length], side[player[j]] = player[j], 1
                parent, branch, top, length, j = np.int64(size), 1, top + 1, length + 1, np.int64(child[j, x])
                size += 1
        if size == begin:
            return begin
        small[size, 0], small[size, 1], small[parent, branch] = -1, j, size
        size += 1
        keep = back[top - 1, 1] if top else -1
        while length > keep + 1:
            length -= 1
            side[path[length]] = 0
        if not top:
            return size
        top -= 1
        j, parent, branch, side[path[keep]] = back[top, 0], back[top, 2], 2, 2


@compiled(f"void(f8[:,::1], i4[:,::1], i8, i8, {ROOM}, f8[:,::1], f8[:,::1])")
def add_shares(
    value: Floats, small: Array, begin: int, output: int, room: tuple[Array, ...], weights: Floats, out: Floats
) -> None:
    """Adds the shares in the margins to `out` (p, K)."""
    _, path, back = room
    s, length, ours, top = np.int64(begin), np.int64(0), np.int64(0), 0
    while True:
        while small[s, 0] >= 0:
            back[top, 0], back[top, 1], back[top, 2] = small[s, 2], length, ours
            path[length], back[length, 3] = small[s, 0], 1
            length, ours, top, s = length + 1, ours + 1, top + 1, np.int64(small[s, 1])
        leaf = small[s, 1]
        with_ = weights[ours - 1, length - ours] if ours else 0.0
        without = -weights[ours, length - ours - 1] if ours < length else 0.0
        for q in range(length):
            weight = with_ if back[q, 3] else without
            for k in range(value.shape[1]):
                out[path[q], output + k] += weight * value[leaf, k]
        if not top:
            return
        top -= 1
        s, length, ours = back[top, 0], back[top, 1], back[top, 2]
        back[length, 3] = 0
        length += 1


@compiled("void(f8[:,::1], i8, i8, i8, i8, f8[:,::1])")
def _add(value: Floats, leaf: Whole, output: int, subset: Whole, minus: Whole, table: Floats) -> None:
    sign = 1.0
    while minus:
        sign = -sign
        minus &= minus - 1
    for k in range(value.shape[1]):
        table[output + k, subset] += sign * value[leaf, k]


@compiled(f"void(f8[:,::1], i4[:,::1], i8, i8, {ROOM}, i8[::1], f8[:,::1])")
def add_to_table(
    value: Floats, small: Array, begin: int, output: int, room: tuple[Array, ...], number: Integers, table: Floats
) -> None:
    """Adds the leaves to a table over subsets, whose sums over subsets are the margins.

    A leaf is reached where its players are in or out as its way says: a product of s and 1 − s, multiplied out.
    """
    back = room[2]
    s, mine, theirs, top = np.int64(begin), np.int64(0), np.int64(0), 0
    while True:
        while small[s, 0] >= 0:
            bit = np.int64(1) << number[small[s, 0]]
            back[top, 0], back[top, 1], back[top, 2] = small[s, 2], mine, theirs | bit
            mine, top, s = mine | bit, top + 1, np.int64(small[s, 1])
        subset = theirs
        while True:
            _add(value, small[s, 1], output, mine | subset, subset, table)
            if subset == 0:
                break
            subset = (subset - 1) & theirs
        if not top:
            return
        top -= 1
        s, mine, theirs = back[top, 0], back[top, 1], back[top, 2]


@compiled("void(f8[:,::1], i4[:,::1], i8, i8, i8[:,::1], f8[::1], f8[::1], f8[:,::1])")
def add_moves(
    value: Floats, small: Array, begin: int, output: int, back: Integers, span: Floats, place: Floats, out: Floats
) -> None:
    """Adds to `out` (p, K) the margins' moves as players join the sample's side at their places, 0 to 1.

    Each leaf holds from when the last of those it needs has joined until the first of those it must not have joins.
    """
    s, top, since, until, low, high = np.int64(begin), 0, np.int64(-1), np.int64(-1), -1.0, 2.0
    while True:
        while small[s, 0] >= 0:
            f = np.int64(small[s, 0])
            at = place[f]
            if at <= low:
                s = np.int64(small[s, 1])
            elif at >= high:
                s = np.int64(small[s, 2])
            else:
                back[top, 0], back[top, 1], back[top, 2] = small[s, 1], f, until
                span[top] = high
                top += 1
                s, high, until = np.int64(small[s, 2]), at, f
        for k in range(value.shape[1]):
            worth = value[small[s, 1], k]
            if since >= 0:
                out[since, output + k] += worth
            if until >= 0:
                out[until, output + k] -= worth
        if not top:
            return
        top -= 1
        s, since, until, low, high = back[top, 0], back[top, 1], back[top, 2], high, span[top]
