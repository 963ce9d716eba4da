"""A part that knows some of the classes: the others have the probability 0."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from handlers.attribution.values import Attributions, Floats, Part, Tell


@dataclass(frozen=True, slots=True)
class InPlaces:
    """`places[j]` is where the part's output j stands among `n_outputs`."""

    part: Part
    places: Sequence[int]
    n_outputs: int

    @property
    def features(self) -> list[str]:
        return self.part.features

    def answers(self, X: pd.DataFrame) -> Floats:
        """See `Part`."""
        return self._put(self.part.answers(X))

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """See `Part`."""
        found = self.part.attributions(X, background, tell, seed)
        return replace(
            found,
            values=self._put(found.values),
            base=self._put(found.base),
            predictions=self._put(found.predictions),
        )

    def _put(self, some: Floats) -> Floats:
        whole = np.zeros((*some.shape[:-1], self.n_outputs))
        whole[..., list(self.places)] = some
        return whole
