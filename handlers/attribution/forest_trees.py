"""scikit-learn's forests (RandomForest, ExtraTrees): means of trees, in the space of the answers already."""

from typing import Any

import numpy as np

from .links import IDENTITY
from .packed_trees import PackedTrees, Reading, Tree, pack
from .values import NotReadable


def read_forest(model: Any) -> PackedTrees:
    """Inputs are single precision. Two classes: the second one's probability."""
    if model.n_outputs_ != 1:
        raise NotReadable("forests with several targets are not read")
    classifier = hasattr(model, "classes_")
    trees = [_tree(tree.tree_, classifier, len(model.estimators_)) for tree in model.estimators_]
    return pack(trees, np.zeros(trees[0].value.shape[1]), IDENTITY, Reading(single_precision=True))


def _tree(tree: Any, classifier: bool, count: int) -> Tree:
    value = tree.value[:, 0, :].astype(np.float64)
    if classifier:
        value = value / value.sum(axis=1, keepdims=True)
        value = value[:, 1:] if value.shape[1] == 2 else value
    left, right = tree.children_left, tree.children_right
    value = np.where((left < 0)[:, None], value / count, 0.0)
    missing_right = 1 - tree.missing_go_to_left.astype(int)
    return Tree(left, right, np.maximum(tree.feature, 0), tree.threshold, missing_right, value)
