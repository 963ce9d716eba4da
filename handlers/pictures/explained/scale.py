"""Where a number lies on a sheet."""

import math
from dataclasses import dataclass

from handlers.pictures.bins import round_step

from .grid import rounded_to, words


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` at `begin` to `high` at `end`, in units of the sheet."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.begin + (self.end - self.begin) * min(max(share, 0.0), 1.0)

    def ticks(self, about: int) -> list[float]:
        step = self._step(about)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [rounded_to(place, step) for place in range(first, last + 1)]

    def texts(self, ticks: list[float]) -> list[str]:
        step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0] if ticks else 1.0) or 1.0
        return [words(tick, round_step(step)) for tick in ticks]

    def _step(self, about: int) -> float:
        return round_step((self.high - self.low) / about)
