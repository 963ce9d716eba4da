"""By whose mean and deviation a new cohort's features are scaled before a base model sees them."""

from typing import Any, Literal

import numpy as np

from .genes import Alignment

Floats = np.ndarray[Any, np.dtype[np.float64]]


def standards(
    X_train: Floats,
    alignment: Alignment,
    source_mean: Floats,
    source_scale: Floats,
    by: Literal["target", "source"],
) -> tuple[Floats, Floats]:
    """Mean and scale, (p_target,) each, for the columns of the new cohort.

    «target»: each column by its own training rows. Right where cohorts were measured apart: another platform, another
    unit, another normalisation shift and stretch each gene, and this takes both out. Its price: the rows must be like
    the source's in what they hold (a cohort of T cells alone, scaled by itself, looks as if it held everything), and
    few rows tell a mean roughly (of 30, to 0.18 deviations).

    «source»: each feature by the base model's own training rows. Right where both cohorts went through one pipeline
    into one unit: then differences between cohorts are biology, and scaling by few rows would only add noise. Wrong
    by as much as the units differ. Columns that the base model does not know are scaled by their own rows.

    A column that does not vary has scale 1.

    Args:
        X_train: (n, p_target) without gaps, training rows alone.
        source_mean, source_scale: (p_source,), as the base model keeps them.
    """
    mean = X_train.mean(axis=0)
    scale = X_train.std(axis=0)
    if by == "source":
        places = np.array(alignment.numbers(), dtype=np.int64)
        known = places >= 0
        mean[places[known]] = source_mean[known]
        scale[places[known]] = source_scale[known]
    # Relative to the mean: a constant's deviation is not always exactly 0 in floating point.
    flat = scale <= 1e-9 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(flat, 1.0, scale)
