"""CatBoost's oblivious trees: every level asks one question, and the answers are the bits of the leaf's number."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .links import IDENTITY, SIGMOID, SOFTMAX
from .packed_trees import PackedTrees, Reading, Tree, pack
from .values import Floats, NotReadable

_LINKS = {
    "Logloss": SIGMOID,
    "CrossEntropy": SIGMOID,
    "MultiClassOneVsAll": SIGMOID,
    "MultiClass": SOFTMAX,
    "RMSE": IDENTITY,
    "MAE": IDENTITY,
    "Quantile": IDENTITY,
    "Huber": IDENTITY,
}


def read_catboost(model: Any) -> PackedTrees:
    """A CatBoost model on numbers. NotReadable: with splits on categories, other losses, other kinds of trees."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        saved = json.loads(path.read_text())
    if "oblivious_trees" not in saved:
        raise NotReadable("CatBoost's trees that are not oblivious are not read")
    loss = str(model.get_all_params().get("loss_function", "")).split(":")[0]
    if loss not in _LINKS:
        raise NotReadable(f"CatBoost's loss {loss!r} has another link than those that are read")
    columns = saved["features_info"].get("float_features", [])
    scale, bias = saved["scale_and_bias"]
    trees = [_tree(tree, columns, scale) for tree in saved["oblivious_trees"]]
    width = trees[0].value.shape[1]
    base = np.broadcast_to(np.atleast_1d(np.array(bias, dtype=np.float64)), (width,)).copy()
    return pack(trees, base, _LINKS[loss], Reading(single_precision=True))


def _tree(tree: dict[str, Any], columns: list[dict[str, Any]], scale: float) -> Tree:
    splits = tree["splits"] or []
    if any(split["split_type"] != "FloatFeature" for split in splits):
        raise NotReadable("CatBoost's splits on categories are not read")
    leaves: Floats = np.array(tree["leaf_values"], dtype=np.float64).reshape(1 << len(splits), -1) * scale
    inner = len(leaves) - 1
    nodes = np.arange(2 * inner + 1)
    level = np.log2(nodes[:inner] + 1 + 0.5).astype(int)  # the last question stands at the root
    split = len(splits) - 1 - level
    which = np.array([s["float_feature_index"] for s in splits], dtype=int)
    at = {c["feature_index"]: (c["flat_feature_index"], c["nan_value_treatment"] == "AsTrue") for c in columns}
    column, missing_right, threshold = np.zeros((3, len(nodes)))
    if inner:
        column[:inner] = np.array([at[w][0] for w in which])[split]
        missing_right[:inner] = np.array([at[w][1] for w in which])[split]
        threshold[:inner] = np.array([s["border"] for s in splits], dtype=np.float32)[split]
    value = np.vstack([np.zeros((inner, leaves.shape[1])), leaves])
    left = np.where(nodes < inner, 2 * nodes + 1, -1)
    right = np.where(nodes < inner, 2 * nodes + 2, -1)
    return Tree(left, right, column.astype(int), threshold, missing_right.astype(int), value)
