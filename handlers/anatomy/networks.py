"""Networks of ours: a linear model of scaled columns where the deep path has no share, else a smooth function."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from handlers.attribution.gradients import Singles
from handlers.attribution.links import IDENTITY, SOFTMAX
from handlers.attribution.smooth import SmoothPart
from handlers.attribution.values import Floats, NotReadable, Part

from .linear import additive
from .opened import Opened

if TYPE_CHECKING:
    import torch


def network_part(model: Opened, network: Any, table: Any) -> Part:
    """A network and the reader of its tables, both in the code that was saved with them.

    Raises:
        NotReadable: they are of a version that is not known here.
    """
    try:
        owners = _owners(model.features, table)
        encode, function = _encode(network, table), _function(network, model)
        if float(network.mix) == 0:
            return _linear(model, network, table, owners)
        rows_at_once = int(network.encoder.rows_at_once)
    except AttributeError as error:
        raise NotReadable("the network is of another version") from error
    for weights in network.parameters():
        weights.requires_grad_(False)
    return SmoothPart(model.features, model.n_outputs, encode, function, owners, rows_at_once)


def _owners(features: list[str], table: Any) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """For each column of numbers the place of the table's column that it shows."""
    places = {name: place for place, name in enumerate(features)}
    columns = [places[name] for name in table.columns]
    measured = [columns[place] for place in table._measured]
    shown = [
        columns[place] for place, some in zip(table._texts, table._categories, strict=True) for _ in range(len(some))
    ]
    return np.array([*measured, *shown], dtype=np.int64)


def _encode(network: Any, table: Any) -> Callable[[pd.DataFrame], Singles]:
    def encode(X: pd.DataFrame) -> Singles:
        import torch

        # Scaled and cut column by column: the game on these numbers is the same, and a straight line is a finer way.
        with torch.inference_mode():
            scaled = network.scaled(torch.from_numpy(np.ascontiguousarray(table.transform(X))))
        return np.array(scaled.numpy())

    return encode


def _function(network: Any, model: Opened) -> "Callable[[torch.Tensor], torch.Tensor]":
    classes, n_outputs = model.about["classes"], model.n_outputs

    def function(scaled: "torch.Tensor") -> "torch.Tensor":
        said: torch.Tensor = network.in_units(network.mixed(network.linear(scaled), network.deep(scaled)))
        if classes is None:
            return said
        shares = said.softmax(dim=1)
        return shares[:, 1:] if n_outputs == 1 and shares.shape[1] == 2 else shares

    return function


def _linear(model: Opened, network: Any, table: Any, owners: Any) -> Part:
    encode = _encode(network, table)
    weight, bias = (part.double().numpy() for part in (network.weight, network.bias))
    if model.about["classes"] is None:
        scale, mean = float(network.y_scale), float(network.y_mean)
        weight, bias = weight * scale, mean + bias * scale

    def numbers(X: pd.DataFrame) -> Floats:
        return encode(X).astype(np.float64)

    link = IDENTITY if model.about["classes"] is None else SOFTMAX
    return additive(model.features, numbers, owners, weight, bias, link)
