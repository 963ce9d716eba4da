"""Rows of one group are one unit: they are not independent of each other."""

from typing import Any

import numpy as np

from .splits import Indices


def units_of(groups: "np.ndarray[Any, Any] | None", n: int) -> Indices:
    """(n,) the number of each row's group; without groups every row is its own."""
    return np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
