"""What was taken apart is compared with the whole before it is believed."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from handlers.attribution.games import TableGame
from handlers.attribution.values import Attributions, Floats, Part, Tell

from .asked import AskedPart

#: Of the answers' spread. Networks answer in single precision, of which a part of their size is lost, too.
_TOLERANCE, _ROUNDED = 1e-4, 0.01
_ROWS = 30


@dataclass(slots=True)
class CheckedPart:
    """The `part`, if it answers as the `whole` does; else the `whole`. Decided once, by the first rows that come.

    `are_shares`: the answers are probabilities, and differ by parts of 1.
    """

    part: Part
    whole: AskedPart
    are_shares: bool
    _off: float | None = field(default=None, init=False)

    @property
    def features(self) -> list[str]:
        return self.part.features

    @property
    def n_outputs(self) -> int:
        return self.part.n_outputs

    def answers(self, X: pd.DataFrame) -> Floats:
        """See `Part`."""
        if self._off is None:
            if len(X) < _ROWS:  # too few to know the answers' spread by; the whole tells them as soon
                return self.whole.answers(X)
            chosen = np.random.default_rng(0).choice(len(X), size=_ROWS, replace=False)
            self._off = self._compared(X.iloc[np.sort(chosen)])
        return self._believed().answers(X)

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """See `Part`."""
        if self._off is None and len(X) and len(background):
            self._off = self._compared(self._hybrids(X, background))
        return self._believed().attributions(X, background, tell, seed)

    def _believed(self) -> Part:
        if self._off is None or self._off <= _TOLERANCE:
            return self.part
        return replace(
            self.whole, why=f"taken apart, it would answer otherwise by {self._off:.1g} of its answers' spread"
        )

    def _hybrids(self, X: pd.DataFrame, background: pd.DataFrame) -> pd.DataFrame:
        """Rows between samples and background rows, as explanations ask about them."""
        game, dice = TableGame(self.whole.ask, X[self.features], background[self.features]), np.random.default_rng(0)
        samples, rows = dice.integers(len(X), size=_ROWS), dice.integers(len(background), size=_ROWS)
        masks = dice.random((_ROWS, len(self.features))) < dice.random((_ROWS, 1))
        return game.hybrids(samples, rows, masks)

    def _compared(self, table: pd.DataFrame) -> float:
        """The largest difference between the part's answers and the whole's, in parts of their spread."""
        said, expected = self.part.answers(table), self.whole.answers(table)
        apart = float(np.abs(said - expected).max())
        if self.are_shares:
            return apart
        spread = max(float(np.ptp(expected, axis=0).max()), _ROUNDED * float(np.abs(expected).max()))
        return apart / spread if apart else 0.0
