"""Features that are a series or an image, read as such."""

import math

from events.errors import ReasonCode
from handlers.contract import JobRefused

SERIES = ("channels", "length")
IMAGE = ("channels", "height", "width")


def check_shape(shape: list[int] | None, n_columns: int, sizes: tuple[str, ...]) -> None:
    """Whether `input_shape` can be, where `sizes` are wanted and the dataset has `n_columns` feature columns.

    Raises:
        JobRefused: `invalid_field`.
    """
    if shape is None:
        return
    if len(shape) != len(sizes):
        raise JobRefused(ReasonCode.INVALID_FIELD, f"input_shape must be [{', '.join(sizes)}] here: send that")
    if (product := math.prod(shape)) != n_columns:
        raise JobRefused(
            ReasonCode.INVALID_FIELD,
            f"input_shape {shape} has {product:,} values, the dataset has {n_columns:,} feature columns: send one "
            "whose product is that number, or name feature_columns, in the order of the shape",
        )
