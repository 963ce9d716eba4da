"""LightGBM's trees, from the text that a booster saves itself as (every number there in full)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .links import IDENTITY, SIGMOID, SOFTMAX
from .packed_trees import Array, PackedTrees, Reading, Tree, pack
from .values import NotReadable

_AS_THEY_ARE = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
_SIGMOIDS = {"binary", "cross_entropy", "multiclassova"}
_ZERO, _NAN = 1, 2


def read_lightgbm(model: Any) -> PackedTrees:
    """A Booster or a scikit-learn wrapper, up to its best iteration, as it predicts. NotReadable: another objective."""
    text = getattr(model, "booster_", model).model_to_string()
    header, *blocks = text.split("end of trees")[0].split("\nTree=")
    settings = dict(line.split("=", 1) for line in header.splitlines() if "=" in line)
    link, scale = _link(settings.get("objective", "custom"))
    outputs = int(settings["num_tree_per_iteration"])
    if "average_output" in header.splitlines():
        scale /= len(blocks) // outputs
    memberships: dict[tuple[int, frozenset[int]], int] = {}
    n_columns, missing = int(settings["max_feature_idx"]) + 1, dict[int, int]()
    trees = [
        _tree(_fields(block), number % outputs, scale, n_columns, memberships, missing)
        for number, block in enumerate(blocks)
    ]
    zeros = frozenset(column for column, kind in missing.items() if kind == _ZERO)
    filled = frozenset(column for column, kind in missing.items() if kind not in (_ZERO, _NAN))
    return pack(trees, np.zeros(outputs), link, Reading(False, zeros, filled, memberships))


def _link(objective: str) -> tuple[int, float]:
    """The link and what margins are multiplied by before it. `multiclassova`: one sigmoid a class, sum not 1."""
    name, *settings = objective.split()
    if name in _AS_THEY_ARE and "sqrt" not in settings:
        return IDENTITY, 1.0
    if name in _SIGMOIDS:
        return SIGMOID, next((float(s.split(":")[1]) for s in settings if s.startswith("sigmoid:")), 1.0)
    if name == "multiclass":
        return SOFTMAX, 1.0
    raise NotReadable(f"LightGBM's objective {objective!r} has another link than those that are read")


def _fields(block: str) -> dict[str, Array]:
    lines = (line.split("=", 1) for line in block.splitlines() if "=" in line)
    return {key: np.array(values.split(), dtype=np.float64) for key, values in lines}


def _tree(
    fields: dict[str, Array],
    output: int,
    scale: float,
    n_columns: int,
    memberships: dict[tuple[int, frozenset[int]], int],
    missing: dict[int, int],
) -> Tree:
    if fields.get("is_linear", np.zeros(1)).any():
        raise NotReadable("LightGBM's linear trees have no single value in a leaf")
    leaves = fields["leaf_value"] * scale
    splits = len(leaves) - 1
    nodes = 2 * splits + 1
    left, right, column = np.full(nodes, -1), np.full(nodes, -1), np.zeros(nodes, int)
    threshold, missing_right, value = np.zeros(nodes), np.ones(nodes, int), np.zeros((nodes, 1))
    value[splits:, 0] = leaves
    if splits:
        for side, key in ((left, "left_child"), (right, "right_child")):
            to = fields[key].astype(int)
            side[:splits] = np.where(to >= 0, to, splits + ~to)  # leaves are numbered from the end: ~0, ~1, …
        column[:splits], threshold[:splits] = fields["split_feature"], fields["threshold"]
        kinds = fields["decision_type"].astype(int)
        missing_right[:splits] = np.where(kinds & 2, 0, 1)
        for j, categories in _categorical(fields, kinds):
            key_ = (int(column[j]), categories)
            column[j] = memberships.setdefault(key_, n_columns + len(memberships))
            threshold[j] = 0.5
        for at in np.flatnonzero(kinds & 1 == 0):
            kind = int(kinds[at]) >> 2 & 3
            if missing.setdefault(int(column[at]), kind) != kind:
                raise NotReadable("LightGBM's trees treat missing values of one column in two ways")
    return Tree(left, right, column, threshold, missing_right, value, output)


def _categorical(fields: dict[str, Array], kinds: Array) -> Iterator[tuple[int, frozenset[int]]]:
    """(node, categories that go left) from bitsets of 32 categories a word."""
    for j in np.flatnonzero(kinds & 1):
        which = int(fields["threshold"][j])
        begin, end = fields["cat_boundaries"][which : which + 2].astype(int)
        words = fields["cat_threshold"][begin:end].astype(np.int64)
        yield int(j), frozenset(32 * w + bit for w, word in enumerate(words) for bit in range(32) if word >> bit & 1)
