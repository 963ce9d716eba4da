"""What a network says about a table: batch by batch, so that memory does not grow with the rows."""

import numpy as np
import pandas as pd
import torch

from .network import Network
from .table import Floats, TableEncoder

_MOST_CELLS = 2_000_000


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
    return max(1, min(network.encoder.rows_at_once, _MOST_CELLS // max(1, network.n_features)))


def _answer(network: Network, rows: Floats) -> Floats:
    return np.asarray(network(torch.from_numpy(rows).to(network.mean.device)).cpu().numpy())
