"""What was taken apart is compared with the whole before it is believed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from handlers.attribution.games import TableGame
from handlers.attribution.values import Attributions, Floats, Part, Tell

from .asked import AskedPart

#: Of the answers' size. Networks answer in single precision.
_TOLERANCE = 1e-4
_HYBRIDS = 30


@dataclass(frozen=True, slots=True)
class CheckedPart:
    """Explains by `part`, if it answers as the `whole` does, also on hybrids of samples and background rows."""

    part: Part
    whole: AskedPart

    @property
    def features(self) -> list[str]:
        return self.part.features

    @property
    def n_outputs(self) -> int:
        return self.part.n_outputs

    def answers(self, X: pd.DataFrame) -> Floats:
        """See `Part`."""
        return self.part.answers(X)

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """See `Part`."""
        off = self.off(X, background) if len(X) and len(background) else 0.0
        if off <= _TOLERANCE:
            return self.part.attributions(X, background, tell, seed)
        why = f"taken apart, it would answer otherwise by {off:.1g} of its answers' size"
        return replace(self.whole, why=why).attributions(X, background, tell, seed)

    def off(self, X: pd.DataFrame, background: pd.DataFrame) -> float:
        """The largest difference between the part's answers and the whole's, in parts of their size."""
        game, dice = TableGame(self.whole.ask, X[self.features], background[self.features]), np.random.default_rng(0)
        samples, rows = dice.integers(len(X), size=_HYBRIDS), dice.integers(len(background), size=_HYBRIDS)
        masks = dice.random((_HYBRIDS, len(self.features))) < dice.random((_HYBRIDS, 1))
        table = game.hybrids(samples, rows, masks)
        said, expected = self.part.answers(table), self.whole.answers(table)
        return float(np.abs(said - expected).max() / max(1.0, np.abs(expected).max()))
