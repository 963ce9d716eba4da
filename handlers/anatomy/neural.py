"""AutoGluon's own network: a smooth function of scaled numbers, shown categories and embeddings of categories."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from handlers.attribution.gradients import Singles
from handlers.attribution.smooth import SmoothPart
from handlers.attribution.values import NotReadable, Part

from .transformed import Transformed

if TYPE_CHECKING:
    import torch


def neural_part(leaf: Any, transformed: Transformed) -> Part:
    """A `TabularNeuralNetTorchModel` on the raw table's columns.

    Raises:
        NotReadable: it predicts something else than numbers or classes.
    """
    kind, network = leaf.problem_type, leaf.model
    if kind not in ("binary", "multiclass", "regression"):
        raise NotReadable(f"a network for {kind} problems is not known")
    network.eval()
    for weights in network.parameters():
        weights.requires_grad_(False)

    def encode(X: pd.DataFrame) -> Singles:
        return _inputs(leaf, network, leaf._process_test_data(leaf.preprocess(transformed(X))))

    def function(inputs: "torch.Tensor") -> "torch.Tensor":
        said: torch.Tensor = network.main_block(inputs)
        if kind == "regression":
            return _in_range(network, said)
        shares = said.softmax(dim=1)
        return shares[:, 1:] if kind == "binary" else shares

    n_outputs = int(network.main_block[-1].out_features) if kind == "multiclass" else 1
    return SmoothPart(transformed.features, n_outputs, encode, function, _owners(leaf, network, transformed))


def _inputs(leaf: Any, network: Any, data: Any) -> Singles:
    """(n, q): numbers and shown categories, then each embedded category's vector. A line between two such is a way."""
    import torch

    parts = [data.data_list[data.vectordata_index]] if data.has_vector_features else []
    if data.has_embed_features:
        with torch.inference_mode():
            for block, place in zip(network.embed_blocks, data.embed_indices, strict=True):
                parts.append(block(torch.from_numpy(data.data_list[place])).numpy())
    return np.ascontiguousarray(np.hstack(parts), dtype=np.float32)


def _owners(leaf: Any, network: Any, transformed: Transformed) -> Any:
    kinds, columns = leaf.feature_type_map, leaf.feature_arraycol_map
    shown = [name for name in kinds if kinds[name] == "vector" for _ in columns[name]]
    embedded = [name for name in kinds if kinds[name] == "embed"]
    widths = [block.embedding_dim for block in network.embed_blocks] if embedded else []
    names = [*shown, *(name for name, width in zip(embedded, widths, strict=True) for _ in range(width))]
    return transformed.owners(names)


def _in_range(network: Any, said: "torch.Tensor") -> "torch.Tensor":
    if network.y_constraint is None:
        return said
    if network.y_constraint == "nonnegative":
        return network.y_lower + said.abs()  # type: ignore[no-any-return]
    if network.y_constraint == "nonpositive":
        return network.y_upper - said.abs()  # type: ignore[no-any-return]
    return said.sigmoid() * network.y_span + network.y_lower  # type: ignore[no-any-return]
