"""From a request and training rows to a network with random weights, of a size that suits them."""

import math
from typing import Any

import torch

from events.errors import ReasonCode
from events.requests import DeepLearningRequested
from handlers.contract import JobRefused
from handlers.networks.network import Network, build
from handlers.training.layout import fit_layout
from handlers.training.rows import Rows

#: [channels, length], or [channels, height, width]: what each architecture reads.
_PLANE, _SERIES = 3, 2


def check_shape(request: DeepLearningRequested, n_columns: int) -> None:
    """Whether `input_shape` can be.

    Raises:
        JobRefused: `invalid_field`.
    """
    shape = request.input_shape
    if shape is None:
        return
    wanted = _PLANE if request.architecture == "cnn_2d" else _SERIES
    if len(shape) != wanted:
        told = "[channels, height, width]" if wanted == _PLANE else "[channels, length]"
        raise JobRefused(ReasonCode.INVALID_FIELD, f"input_shape of {request.architecture} is {told}: send that")
    if (product := math.prod(shape)) != n_columns:
        raise JobRefused(
            ReasonCode.INVALID_FIELD,
            f"input_shape {shape} has {product:,} values, the dataset has {n_columns:,} feature columns: send one "
            "whose product is that number, or name feature_columns, in the order of the shape",
        )


def new_network(request: DeepLearningRequested, rows: Rows) -> Network:
    """The network that a request means, for rows of (n, p); its weights follow from the seed."""
    torch.manual_seed(request.seed)
    n_features = rows.X.shape[1]
    encoder: dict[str, Any] = {
        "name": request.architecture,
        "n_features": n_features,
        "shape": request.input_shape,
    }
    if request.architecture == "cnn_2d" and request.input_shape is None:
        encoder["layout"] = fit_layout(rows.X[rows.fit]).tolist()
    return build(
        {"version": 1, "n_features": n_features, "n_outputs": rows.n_outputs, "dropout": 0.2, "encoder": encoder}
    )
