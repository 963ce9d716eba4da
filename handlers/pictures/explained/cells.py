"""What may be told of a cell: how high it is among the samples, or what it is where values are asked for."""

import math

from handlers.pictures.labels import clean, trimmed

from .explained import Explained
from .levels import as_numbers, levels

_COLUMNS = 14


def cell(explained: Explained, feature: int, sample: int, include_values: bool) -> str:
    """«high», or «= 2.31»; nothing where there is nothing to tell."""
    column = explained.table.iloc[:, feature]
    if not include_values:
        return levels(column).word(sample)
    numbers = as_numbers(column)
    if numbers is None:
        return f"= {trimmed(clean(column.iloc[sample]), _COLUMNS)}"
    number = float(numbers[sample])
    return "unknown" if math.isnan(number) else f"= {number:.4g}".replace("-", "−")
