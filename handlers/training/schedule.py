"""The learning rate over a fit: rising, then a cosine to zero (Loshchilov and Hutter 2017, «SGDR»)."""

import math


def share_of_peak(progress: float, warm_up: float, n_steps: int) -> float:
    """The part of its peak that a rate has.

    Args:
        progress: of the fit, from 0 to 1. warm_up: the part of the fit in which rates rise. n_steps: of the whole fit.
    """
    # A rise that is shorter than a step would be a first step from which nothing is learned.
    warm = warm_up if warm_up * n_steps >= 1 else 0.0
    if progress < warm:
        return progress / warm
    return 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
