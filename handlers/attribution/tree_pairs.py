"""One tree and one pair of rows: where they part, all leaves that mixtures of them reach, and the way between them.

The shares of a pair in the margins are those of interventional TreeSHAP (Lundberg et al. 2020).
"""

import numpy as np

from .compiled import Whole, compiled
from .orders import Integers
from .packed_trees import Array
from .tree_routes import TREES
from .values import Floats

#: Room to work in: each player's side and number; the path; nodes and path lengths to come back to.
ROOM = "Tuple((i1[::1], i8[::1], i8[::1], i8[::1], i8[::1]))"


@compiled("void(i8[::1], i8, i1[::1], i8, f8[:,::1], i8, f8[:,::1], i8, f8[:,::1])")
def _leaf_to_shares(
    path: Integers, length: int, side: Array, mine: int, value: Floats, j: Whole, weights: Floats, k0: int, out: Floats
) -> None:
    for q in range(length):
        f = path[q]
        weight = weights[mine - 1, length - mine] if side[f] == 1 else -weights[mine, length - mine - 1]
        for k in range(value.shape[1]):
            out[f, k0 + k] += weight * value[j, k]


@compiled("void(i8[::1], i8, i1[::1], i8[::1], f8[:,::1], i8, i8, f8[:,::1])")
def _leaf_to_table(
    path: Integers, length: int, side: Array, number: Integers, value: Floats, j: Whole, k0: int, table: Floats
) -> None:
    """A leaf's part in the sums over subsets: its indicator is a product of s and 1 − s, multiplied out."""
    mine, theirs = 0, 0
    for q in range(length):
        if side[path[q]] == 1:
            mine |= 1 << number[path[q]]
        else:
            theirs |= 1 << number[path[q]]
    subset = theirs
    while True:
        sign, rest = 1.0, subset
        while rest:
            sign = -sign
            rest &= rest - 1
        for k in range(value.shape[1]):
            table[k0 + k, mine | subset] += sign * value[j, k]
        if subset == 0:
            break
        subset = (subset - 1) & theirs


@compiled(f"void({TREES}, i8, {ROOM}, i1[::1], i1[::1], f8[:,::1], b1, f8[:,::1])")
def hybrids(
    trees: tuple[Array, ...],
    t: int,
    room: tuple[Array, ...],
    mine: Array,
    theirs: Array,
    weights: Floats,
    to_table: bool,
    out: Floats,
) -> None:
    """Visits every leaf that mixtures of the two rows reach in one tree, and adds it to the shares or the table."""
    child, player, value, output, roots = trees
    side, number, path, nodes, lengths = room
    j, length, ours, top = np.int64(roots[t]), 0, 0, 0
    while True:
        while child[j, 0] >= 0:
            x, b = mine[j], theirs[j]
            if x == b or side[player[j]] == 1:
                j = np.int64(child[j, x])
            elif side[player[j]] == 2:
                j = np.int64(child[j, b])
            else:
                nodes[top], lengths[top] = child[j, b], length
                path[length], side[player[j]] = player[j], 1
                top, length, ours, j = top + 1, length + 1, ours + 1, np.int64(child[j, x])
        if to_table:
            _leaf_to_table(path, length, side, number, value, j, output[t], out)
        else:
            _leaf_to_shares(path, length, side, ours, value, j, weights, output[t], out)
        keep = lengths[top - 1] if top else -1
        while length > keep + 1:
            length -= 1
            ours -= 1 if side[path[length]] == 1 else 0
            side[path[length]] = 0
        if not top:
            return
        top, ours, side[path[keep]], j = top - 1, ours - 1, 2, nodes[top - 1]


@compiled(f"void({TREES}, i8, i1[::1], i1[::1], f8[::1], f8[:,::1])")
def moves(trees: tuple[Array, ...], t: int, mine: Array, theirs: Array, place: Floats, out: Floats) -> None:
    """Adds how much one tree's leaf changes as players go over to the sample's side in the order of their places."""
    child, player, value, output, roots = trees
    now, last, who = -1.0, np.int64(-1), np.int64(-1)
    while True:
        j, soonest, next_ = np.int64(roots[t]), 2.0, np.int64(-1)
        while child[j, 0] >= 0:
            x, b = mine[j], theirs[j]
            if x == b:
                j = np.int64(child[j, x])
                continue
            at = place[player[j]]
            if at < soonest and at > now:
                soonest, next_ = at, np.int64(player[j])
            j = np.int64(child[j, x] if at <= now else child[j, b])
        if last >= 0 and last != j:
            for k in range(value.shape[1]):
                out[who, output[t] + k] += value[j, k] - value[last, k]
        if next_ < 0:
            return
        last, who, now = j, next_, soonest


@compiled(f"void({TREES}, i1[::1], i1[::1], i8[::1], i8[::1], i8[::1], i1[::1])")
def differences(
    trees: tuple[Array, ...],
    mine: Array,
    theirs: Array,
    found: Integers,
    active: Integers,
    stack: Integers,
    seen: Array,
) -> None:
    """Lists the players and trees on which the two rows part anywhere that a mixture of them reaches.

    The first number of each list is its length. `seen` comes and goes as zeros.
    """
    child, player, _, output, roots = trees
    found[0] = active[0] = 0
    for t in range(len(output)):
        top, parts = 1, False
        stack[0] = roots[t]
        while top:
            top -= 1
            j = stack[top]
            while child[j, 0] >= 0:
                x, b = mine[j], theirs[j]
                if x != b:
                    parts = True
                    if not seen[player[j]]:
                        seen[player[j]] = 1
                        found[0] += 1
                        found[found[0]] = player[j]
                    stack[top] = child[j, b]
                    top += 1
                j = np.int64(child[j, x])
        if parts:
            active[0] += 1
            active[active[0]] = t
    for q in range(found[0]):
        seen[found[q + 1]] = 0
