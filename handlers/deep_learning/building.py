"""From a request and training rows to a network with random weights, of a size that suits them."""

from typing import Any

import torch

from events.requests import DeepLearningRequested
from handlers.networks.network import Network, build
from handlers.training.layout import fit_layout
from handlers.training.rows import Rows


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
