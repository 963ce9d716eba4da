"""What a network says about a table: batch by batch, so that memory does not grow with the rows."""

import numpy as np
import pandas as pd
import torch

from .network import Network
from .table import Floats, TableEncoder

_MOST_ROWS = 1024
#: An image network makes some hundred times as much of a row as a row holds.
_MOST_IMAGES = 32
_MOST_CELLS = 2_000_000
_LARGEST = float(np.finfo(np.float32).max)


def predict_values(network: Network, table: TableEncoder, X: pd.DataFrame) -> Floats:
    """(n,) values of a regression, for n rows of the table's columns.

    Raises:
        ValueError: the columns do not fit, or the network has no finite answer.
    """
    return _outputs(network, table, X)[:, 0]


def predict_probabilities(network: Network, table: TableEncoder, X: pd.DataFrame) -> Floats:
    """(n, k) of k classes, rows sum to 1.

    Raises:
        ValueError: the columns do not fit, or the network has no finite answer.
    """
    logits = _outputs(network, table, X)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _outputs(network: Network, table: TableEncoder, X: pd.DataFrame) -> Floats:
    network.eval()
    at_once = _rows_at_once(network)
    outputs = np.zeros((len(X), network.n_outputs))
    with torch.inference_mode():
        for begin in range(0, len(X), at_once):
            rows = table.transform(X.iloc[begin : begin + at_once])
            outputs[begin : begin + at_once] = _answer(network, rows)
    if not np.isfinite(outputs).all():
        raise ValueError("the network has no finite answer for some rows: its weights are damaged")
    return outputs


def _rows_at_once(network: Network) -> int:
    encoder = getattr(network.encoder, "inner", network.encoder)
    most = _MOST_IMAGES if encoder.name == "vision" else _MOST_ROWS
    return max(1, min(most, _MOST_CELLS // max(1, network.n_features)))


def _answer(network: Network, rows: Floats) -> Floats:
    # A float64 beyond float32 would be infinite; the network cuts both at the same place.
    x = torch.from_numpy(np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32)).to(network.mean.device)
    return np.asarray(network(x).double().cpu().numpy())
