"""Round numbers in place of exact ones: what is drawn and told lies on a grid that is wider than a value is exact."""

import math
from dataclasses import dataclass

import numpy as np

from handlers.metrics import Floats, Indices
from handlers.pictures.bins import decimals, round_step

_OUTLIER = 2.0
_SMALLEST = 1e-100


@dataclass(frozen=True, slots=True)
class Grid:
    """Multiples of `step`, from `low` to `high` of them; 0 is on the grid."""

    step: float
    low: int
    high: int

    def places(self, values: Floats) -> Indices:
        """The nearest multiple of each; what lies outside counts as the outermost."""
        return np.clip(np.rint(values / self.step), self.low, self.high).astype(np.int64)

    def at(self, place: int) -> float:
        return rounded_to(place, self.step)

    def is_cut(self, values: Floats) -> bool:
        return bool(((values < (self.low - 0.5) * self.step) | (values > (self.high + 0.5) * self.step)).any())


def grid_around(columns: Floats, about: int) -> Grid:
    """About that many steps for columns of values (n, m) and 0; far outliers do not stretch it."""
    bound = _OUTLIER * float(np.quantile(np.abs(columns), 0.95, axis=0).max(initial=0.0))
    low, high = min(0.0, float(columns.min(initial=0.0))), max(0.0, float(columns.max(initial=0.0)))
    if bound > _SMALLEST:
        low, high = max(low, -bound), min(high, bound)
    span = high - low
    step = round_step(span / about) if span > _SMALLEST else 1.0
    return Grid(step, math.floor(low / step), math.ceil(high / step))


def grid_of_two_digits(largest: float) -> float:
    """A power of ten of which the largest number holds 20 to 200: all others are told as exactly, not more."""
    return float(10.0 ** math.floor(math.log10(largest / 20))) if largest > _SMALLEST else 1.0


def rounded_to(place: int, step: float) -> float:
    """A multiple of a round step, without what binary numbers add to it."""
    return float(round(place * step, decimals(step) + 2))


def significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def words(value: float, step: float, sign: bool = False) -> str:
    """A number with as many decimals as the step has, with a minus as it is printed."""
    if not 1e-5 <= abs(step) < 1e7:
        text = f"{value:{'+' if sign else ''}.3g}"
    else:
        places = max(0, decimals(step) + (round(step / 10.0 ** -decimals(step), 6) == 2.5))
        text = f"{value + 0.0:{'+' if sign else ''},.{places}f}"
    return text.replace("-", "−")
