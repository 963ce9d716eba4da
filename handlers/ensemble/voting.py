"""Voting: the members' answers with weights that somebody has chosen, or equal ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def voted(n_members: int, weights: Sequence[float] | None, voting: str) -> dict[str, Any]:
    """The combination; weights are brought to the sum 1."""
    given = np.ones(n_members) if weights is None else np.asarray(weights, dtype=float)
    # By the largest first: the sum of very large numbers is no number any more.
    shares = given / given.max()
    return {"method": "voting", "voting": voting, "weights": (shares / shares.sum()).tolist(), "meta": None}
