"""What is known of the error, in words, where some pairs of rows have too many features to go through all subsets."""

import numpy as np

from .enumeration import LIMIT
from .values import Floats


def how_exact(sampled: int, pairs: int, errors: Floats) -> str:
    """`errors`: the standard error of each value (half the difference of two independent draws)."""
    if not sampled:
        return "exact"
    among = errors[errors > 0]
    typical = float(np.sqrt(np.mean(among**2))) if len(among) else 0.0
    how = "all pairs" if sampled == pairs else f"{sampled} of {pairs} pairs"
    return (
        f"{how} of sample and background row differ in more than {LIMIT} features: exact in the margins, carried to "
        f"the answers, and what that leaves out sampled without bias; standard error {typical:.1g}, "
        f"measured on every value (largest {float(errors.max(initial=0.0)):.1g})"
    )
