"""XGBoost's trees, from the JSON that a booster saves itself as. Inputs and thresholds are single precision."""

import json
from typing import Any

import numpy as np

from .links import IDENTITY, SIGMOID, SOFTMAX
from .packed_trees import PackedTrees, Reading, Tree, pack
from .values import Floats, NotReadable

_LINKS = {
    "binary:logistic": SIGMOID,
    "reg:logistic": SIGMOID,
    "multi:softprob": SOFTMAX,
    "multi:softmax": SOFTMAX,
    "reg:squarederror": IDENTITY,
    "reg:absoluteerror": IDENTITY,
    "reg:pseudohubererror": IDENTITY,
    "reg:quantileerror": IDENTITY,
}


def read_xgboost(model: Any) -> PackedTrees:
    """A Booster or a scikit-learn wrapper (that one up to its best iteration, as it predicts). NaN is missing."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if booster is not model and booster.attr("best_iteration") is not None:
        booster = booster[: int(booster.attr("best_iteration")) + 1]
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective, parameters = learner["objective"]["name"], learner["learner_model_param"]
    if objective not in _LINKS or int(parameters.get("num_target", 1)) > 1:
        raise NotReadable(f"XGBoost's objective {objective!r} has another link than those that are read")
    outputs, link = max(1, int(parameters["num_class"])), _LINKS[objective]
    base = np.broadcast_to(_base(parameters["base_score"], link), (outputs,)).copy()
    trees, drops = _boosted(learner["gradient_booster"])
    packed = [_tree(tree, output, drop) for (tree, output), drop in zip(trees, drops, strict=True)]
    return pack(packed, base, link, Reading(single_precision=True))


def _base(written: str, link: int) -> Floats:
    score = np.atleast_1d(np.array(json.loads(written), dtype=np.float64))
    return np.log(score / (1 - score)) if link == SIGMOID else score


def _boosted(booster: dict[str, Any]) -> tuple[list[tuple[dict[str, Any], int]], list[float]]:
    """(tree, the output it adds to) and what it is multiplied by: 1, but for DART."""
    if "gbtree" in booster:
        drops, booster = booster["weight_drop"], booster["gbtree"]
    elif "model" in booster and "trees" in booster["model"]:
        drops = None
    else:
        raise NotReadable("XGBoost's linear booster has no trees")
    trees = list(zip(booster["model"]["trees"], booster["model"]["tree_info"], strict=True))
    return trees, drops or [1.0] * len(trees)


def _tree(tree: dict[str, Any], output: int, drop: float) -> Tree:
    if any(tree["split_type"]):
        raise NotReadable("XGBoost's categorical splits are not read")
    if int(tree["tree_param"].get("size_leaf_vector", 0)) > 1:
        raise NotReadable("XGBoost's trees with a vector in each leaf are not read")
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    value = np.where(left < 0, conditions, 0).astype(np.float64)[:, None] * drop
    # Left is x < threshold here: the same as x ≤ the number just below it, among those of single precision.
    threshold = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    missing_right = 1 - np.array(tree["default_left"], dtype=int)
    return Tree(left, right, np.array(tree["split_indices"]), threshold, missing_right, value, output)
