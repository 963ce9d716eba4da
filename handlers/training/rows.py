"""The rows a network learns from, and those of them that say when to stop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from handlers.datasets.problem import Problem
from handlers.splits import Indices, split

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Rows:
    """n training rows: `X` (n, p) float64 without gaps; `y` class codes or values; `n_classes` None for a regression.

    `fit` and `validation` are positions among them: validation rows decide when to stop and how paths are weighed.
    """

    X: Floats
    y: np.ndarray[Any, Any]
    n_classes: int | None
    fit: Indices
    validation: Indices

    @property
    def n_outputs(self) -> int:
        return self.n_classes or 1

    def class_weights(self) -> Floats:
        """(k,) weights with which all classes count alike, however rare: as many as the fit rows, in sum over them."""
        counts = np.maximum(1, np.bincount(self.y[self.fit], minlength=self.n_outputs))
        return np.asarray(len(self.fit) / (self.n_outputs * counts))

    def alike(self) -> Floats:
        """(n,) each row's weight, by its class."""
        return np.asarray(self.class_weights()[self.y])


def training_rows(X: Floats, problem: Problem, train: Indices) -> Rows:
    """The training rows of a problem, of which a fifth is for validation: whole groups, stratified, the same each time.

    `X` (len(train), p) are their features as numbers. Nothing but the data decides which rows validate.
    """
    target = problem.target.iloc[train].reset_index(drop=True)
    groups = None if problem.groups is None else problem.groups.iloc[train].reset_index(drop=True)
    inner = split(f"{problem.dataset_sha256}-inner", problem.target_column, target, problem.group_column, groups)
    fit = np.sort(np.concatenate([inner.train, inner.combination]))
    n_classes = None if problem.classes is None else len(problem.classes)
    y = problem.y[train]
    fit, validation = _with_every_class(fit, inner.test, y, n_classes, groups)
    return Rows(X, y, n_classes, fit, validation)


def _with_every_class(
    fit: Indices, validation: Indices, y: np.ndarray[Any, Any], n_classes: int | None, groups: "pd.Series[Any] | None"
) -> tuple[Indices, Indices]:
    """A class that stands among validation rows alone (a rare one, in few groups) is learned, not asked for."""
    if n_classes is None:
        return fit, validation
    unseen = np.setdiff1d(np.arange(n_classes), y[fit])
    moved = np.isin(y[validation], unseen)
    if groups is not None:
        moved = np.isin(groups.iloc[validation].astype(str), groups.iloc[validation[moved]].astype(str))
    return np.sort(np.concatenate([fit, validation[moved]])), validation[~moved]
