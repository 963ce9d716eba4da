"""Small networks that nobody trained, with the problems they belong to."""

from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from handlers.datasets.problem import Problem
from handlers.networks.network import Network, build
from handlers.networks.table import TableEncoder


def problem_of(X: pd.DataFrame, target: "pd.Series[Any]") -> Problem:
    """As `load_problem` makes it of a file."""
    classes: tuple[Any, ...] | None = None
    kind: Literal["binary", "multiclass", "regression"] = "regression"
    y = target.to_numpy()
    if target.dtype != float:
        codes, labels = pd.factorize(target, sort=True)
        y, classes = codes, tuple(labels.tolist())
        kind = "binary" if len(classes) == 2 else "multiclass"
    return Problem(X, y, target, None, np.arange(len(X)), kind, classes, "target", None, "ab" * 32)


def network_of(problem: Problem, encoder: str = "cnn_1d", seed: int = 0) -> tuple[Network, TableEncoder]:
    """One that takes the problem's columns, scaled by them, and gives one output for each class or one value."""
    table = TableEncoder().fit(problem.X)
    p, k = len(table.names), len(problem.classes or "1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        told = {"version": 1, "n_features": p, "n_outputs": k, "dropout": 0.2}
        network = build({**told, "encoder": {"name": encoder, "n_features": p}})
        network.weight.copy_(torch.randn(k, p) / p**0.5)
    rows = table.transform(problem.X)
    spread = rows.std(axis=0)
    network.mean.copy_(torch.as_tensor(rows.mean(axis=0)))
    network.scale.copy_(torch.as_tensor(np.where(spread > 0, spread, 1.0)))
    network.mix.fill_(0.4)
    return network.eval(), table
