"""Which way rows go at every node, and what they come to."""

import numpy as np

from .compiled import compiled
from .packed_trees import Array, PackedTrees
from .values import Floats

#: What compiled functions take of trees: children, players, values, first outputs, roots.
TREES = "Tuple((i4[:,::1], i4[::1], f8[:,::1], i8[::1], i8[::1]))"


@compiled("void(i4[:,::1], i4[::1], f8[::1], i1[::1], f8[:,::1], i8, i8, i1[:,::1])")
def _routes(
    child: Array, column: Array, threshold: Floats, missing: Array, X: Floats, first: int, last: int, out: Array
) -> None:
    for i in range(len(X)):
        for j in range(first, last):
            if child[j, 0] < 0:
                continue
            x = X[i, column[j]]
            out[i, j - first] = missing[j] if x != x else (0 if x <= threshold[j] else 1)


@compiled("void(i4[:,::1], f8[:,::1], i8[::1], i8[::1], i1[:,::1], f8[:,::1])")
def _margins(child: Array, value: Floats, output: Array, roots: Array, rights: Array, out: Floats) -> None:
    for t in range(len(output)):
        for i in range(len(rights)):
            j = np.int64(roots[t])
            while child[j, 0] >= 0:
                j = np.int64(child[j, rights[i, j]])
            for k in range(value.shape[1]):
                out[i, output[t] + k] += value[j, k]


def routes(trees: PackedTrees, X: Floats, first: int = 0, last: int | None = None) -> Array:
    """(n, nodes first … last): 1 where a row of `X`, as the nodes compare it, goes right."""
    last = len(trees.column) if last is None else last
    out = np.zeros((len(X), last - first), np.int8)
    _routes(trees.child, trees.column, trees.threshold, trees.missing_right, X, first, last, out)
    return out


def margins(trees: PackedTrees, rights: Array) -> Floats:
    """(n, K), from the routes of n rows at all nodes."""
    out = np.tile(trees.base, (len(rights), 1))
    _margins(trees.child, trees.value, trees.output, trees.roots, rights, out)
    return out


def order_weights(size: int) -> Floats:
    """[u, w]: u! w! / (u + w + 1)!, the chance that u players come before and w after one, in a random order."""
    out = np.empty((size, size))
    out[0] = 1.0 / np.arange(1, size + 1)
    for u in range(1, size):
        out[u] = out[u - 1] * u / (u + 1 + np.arange(size))
    return out
