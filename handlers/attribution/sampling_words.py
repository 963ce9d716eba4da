"""What is known of the error where some pairs of rows have too many features to go through all subsets."""

import numpy as np

from .accounts import Account
from .enumeration import LIMIT
from .values import Floats

#: Of methods that carry shares in the margins to the answers first; of those that do not.
CARRIED = "carried to the answers, and what that leaves out is sampled without bias"
ALL_SAMPLED = "orders are sampled without bias"


def sampled_pairs(method: str, means: str, sampled: int, pairs: int, errors: Floats) -> Account:
    """`means`: what is done for a pair that is sampled; `errors`: the standard error of each value."""
    if not sampled:
        return Account(method)
    among = errors[errors > 0]
    typical = float(np.sqrt(np.mean(among**2))) if len(among) else 0.0
    how = "" if sampled == pairs else f", for {sampled / pairs:.2g} of the pairs of rows,"
    told = f"exact in the margins; beyond {LIMIT} features{how} {means}"
    return Account(method, told, typical, float(errors.max(initial=0.0)))
