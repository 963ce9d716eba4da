"""Trees of any library in one form: arrays of nodes, in which a row goes left where its value ≤ the threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .links import SIGMOID, SOFTMAX
from .values import Floats

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree of N nodes. Children are −1 at leaves; `missing_right` tells where a missing value goes.

    `value` (N, w) adds to the margins `output` … `output` + w − 1; only leaves' rows count.
    """

    left: Array
    right: Array
    column: Array
    threshold: Array
    missing_right: Array
    value: Floats
    output: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """How a library reads its inputs, before the nodes see them."""

    single_precision: bool = False
    #: Columns in which 0 means missing.
    zero_is_missing: frozenset[int] = frozenset()
    #: Columns in which a missing value is 0.
    missing_is_zero: frozenset[int] = frozenset()
    #: Columns put behind the others, by (column, categories): 0 where the value is one of the categories, else 1.
    memberships: Mapping[tuple[int, frozenset[int]], int] = field(default_factory=dict)

    def read(self, encoded: Array) -> Floats:
        """(n, e) as the model gets them to (n, e + memberships) as the nodes compare them; NaN is missing."""
        X = np.array(encoded, dtype=np.float32 if self.single_precision else np.float64).astype(np.float64)
        for column in self.zero_is_missing:
            X[np.abs(X[:, column]) <= np.float32(1e-35), column] = np.nan
        extra = [self._outside(X[:, column], categories) for column, categories in self.memberships]
        for column in self.missing_is_zero:
            X[np.isnan(X[:, column]), column] = 0.0
        return np.ascontiguousarray(np.column_stack([X, *extra]) if extra else X)

    @staticmethod
    def _outside(values: Floats, categories: frozenset[int]) -> Floats:
        whole = np.where(np.isnan(values) | (values < 0), -1.0, values).astype(np.int64)
        return (~np.isin(whole, list(categories))).astype(np.float64)


@dataclass(frozen=True, slots=True)
class PackedTrees:
    """All trees of a model, one behind the other. K margins, base + sum of leaves, then the link."""

    child: Array  # (nodes, 2), int32
    column: Array  # (nodes,), int32
    threshold: Floats
    missing_right: Array  # (nodes,), int8
    value: Floats  # (nodes, w)
    output: Array  # (trees,), int64: the first margin that a tree adds to
    roots: Array  # (trees + 1,), int64
    base: Floats  # (K,)
    link: int
    depth: int
    reading: Reading


def pack(trees: Sequence[Tree], base: Floats, link: int, reading: Reading) -> PackedTrees:
    """Puts trees behind one another. Two classes by the softmax become one margin and the sigmoid."""
    if link == SOFTMAX and len(base) == 2:
        trees, base, link = [_difference(tree) for tree in trees], base[1:] - base[:1], SIGMOID
    roots = np.concatenate([[0], np.cumsum([len(tree.left) for tree in trees])]).astype(np.int64)
    child = np.concatenate([_children(tree, int(root)) for tree, root in zip(trees, roots, strict=False)])
    return PackedTrees(
        child=child,
        column=np.concatenate([tree.column for tree in trees]).astype(np.int32),
        threshold=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        missing_right=np.concatenate([tree.missing_right for tree in trees]).astype(np.int8),
        value=np.ascontiguousarray(np.concatenate([tree.value for tree in trees]), dtype=np.float64),
        output=np.array([tree.output for tree in trees], dtype=np.int64),
        roots=roots,
        base=np.array(base, dtype=np.float64),
        link=link,
        depth=_depth(child, roots),
        reading=reading,
    )


def _difference(tree: Tree) -> Tree:
    sign = np.array([[-1.0], [1.0]]) if tree.value.shape[1] == 2 else np.array([[1.0 if tree.output else -1.0]])
    return Tree(tree.left, tree.right, tree.column, tree.threshold, tree.missing_right, tree.value @ sign)


def _children(tree: Tree, root: int) -> Array:
    both = np.column_stack([tree.left, tree.right])
    return np.where(both >= 0, both + root, -1).astype(np.int32)


def _depth(child: Array, roots: Array) -> int:
    """The most splits on one way down, found level by level."""
    level, depth = roots[:-1], 0
    while len(level := (below := child[level].reshape(-1))[below >= 0]):
        depth += 1
    return depth
