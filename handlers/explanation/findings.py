"""What a method found out about samples, whichever method it was."""

from dataclasses import dataclass

import numpy as np

from handlers.attribution.values import Floats
from handlers.splits import Indices


@dataclass(frozen=True, slots=True)
class Findings:
    """Shares of p features in the answers for n samples; c outputs, 1 for numbers and for two classes.

    `values` (n, p, c). `base` and `predictions` (n, c): what the values start from, and what the model answers.
    `explainer` and `exactness` in words. `additivity_error` where the values are meant to add up. Of local models:
    `local_fits` (n, c), their R², and `stabilities` (n,); not-a-number where the answers do not vary.
    """

    features: list[str]
    values: Floats
    base: Floats
    predictions: Floats
    explainer: str
    exactness: str
    n_background: int
    additivity_error: float | None = None
    local_fits: Floats | None = None
    stabilities: Floats | None = None

    @property
    def n_samples(self) -> int:
        return len(self.values)

    @property
    def told(self) -> Indices:
        """(n,): the output each sample is told for: the class that the model finds likeliest."""
        return np.asarray(self.predictions.argmax(axis=1), dtype=np.int64)

    def of_told(self, array: Floats) -> Floats:
        """Of an (n, …, c) array the entries of each sample's told output, (n, …)."""
        places = self.told.reshape(-1, *[1] * (array.ndim - 1))
        return np.asarray(np.take_along_axis(array, places, axis=-1)[..., 0])
