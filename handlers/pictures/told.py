"""What all pictures of one model are drawn from, and what one picture is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.metrics import Predictions

from .canvas import Canvas
from .labels import clean, trimmed

_TARGET_COLUMNS = 36


@dataclass(frozen=True, slots=True)
class Told:
    """What a model and a plain one said about the same n test rows, and what things are called."""

    said: Predictions
    plain: Predictions | None
    labels: Sequence[str]
    target: str
    metric: str
    baseline_name: str
    leaderboard: Sequence[dict[str, Any]]

    @property
    def n(self) -> int:
        return len(self.said.y)

    @property
    def subtitle(self) -> str:
        return f"«{trimmed(clean(self.target), _TARGET_COLUMNS)}», {self.n:,} test row{'s' * (self.n != 1)}"

    def both(self) -> list[tuple[str, Predictions]]:
        """The baseline first: the model is drawn on top of it."""
        model = [("model", self.said)]
        return model if self.plain is None else [("baseline", self.plain), *model]


@dataclass(frozen=True, slots=True)
class Picture:
    """`about`: a sentence in place of the picture. `figures`: the numbers behind it, JSON values."""

    name: str
    canvas: Canvas
    about: str
    figures: dict[str, Any]


def rounded(values: Any, decimals: int = 4) -> Any:
    """As JSON: floats, or lists of them."""
    return np.round(np.asarray(values, dtype=np.float64), decimals).tolist()
