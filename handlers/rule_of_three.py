"""What a test leaves open that showed no mistake: the rule of three.

n units without one mistake are 95 % sure of no more than that 3 in n make one, Hanley & Lippman-Hand (1983), «If
nothing goes wrong, is everything all right?». So no interval is narrower than a perfect score's, and a perfect
score's reaches as far as those few could pull it by being no better than a guess.
"""

from typing import Any

import numpy as np

from .metrics import Indices, Predictions

#: One-sided: what is open lies on one side of perfect.
_ODDS = 0.05
_COSTLIEST = -float(np.log(np.finfo(np.float64).eps))
#: Metric → its ends, both possible. A Brier score of many classes ends at 2.
ENDS = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1", "auroc", "auprc", "calibration_error"), (0.0, 1.0)),
    **dict.fromkeys(("mcc", "spearman"), (-1.0, 1.0)),
    **dict.fromkeys(("rmse", "mae"), (0.0, np.inf)),
    "log_loss": (0.0, _COSTLIEST), "brier": (0.0, 1.0), "r2": (-np.inf, 1.0),
}  # fmt: skip


class Room:
    """What units that show no mistake leave open: 3 in n of them may be no better than a guess."""

    def __init__(self, predictions: Predictions, units: Indices) -> None:
        #: One for a regression.
        self.n_classes = 1 if predictions.probabilities is None else predictions.probabilities.shape[1]
        self._units = int(units.max()) + 1
        self._holders = holds(predictions, units).sum(axis=0)
        self._guess = _guesses(predictions)

    def widened(self, name: str, value: float, inner: tuple[float, float]) -> list[float]:
        """At least as wide as a perfect score's interval would be; one that nothing moves, wide on both sides."""
        start, end = ENDS[name]
        if name == "brier" and self.n_classes > 2:
            end = 2.0
        reach = self._reach(name, value)
        low, high = min(value, inner[0], end - reach), max(value, inner[1], start + reach)
        if inner[0] == inner[1]:
            low, high = min(low, value - reach), max(high, value + reach)
        return [float(max(low, start)), float(min(high, end))]

    def _reach(self, name: str, value: float) -> float:
        unseen = 1 - _ODDS ** (1 / self._trials(name))
        if name in ("rmse", "mae"):
            unseen = np.sqrt(unseen) if name == "rmse" else unseen
            # Where all values are the same, the error that there is says more than their spread.
            return float(unseen * max(value, self._guess[name]))
        if name == "r2":
            return float(unseen * max(1.0, 1 - value))
        if name == "f1" and self.n_classes == 2:
            # Of rows that are positive or were said to be, a share s is both: F1 is 2 s / (1 + s).
            return float(unseen / (2 - unseen))
        return float(unseen * self._guess.get(name, 1.0))

    def _trials(self, name: str) -> float:
        """Units that could have shown a mistake: for what counts class by class, those of the rarest one."""
        holders, there = self._holders, self._holders[self._holders > 0]
        if self.n_classes == 1 or name in ("accuracy", "log_loss", "brier", "calibration_error"):
            return self._units
        if name == "mcc":
            return max(1.0, float(self._units * (1 - ((holders / holders.sum()) ** 2).sum())))
        if self.n_classes == 2 and name != "balanced_accuracy":
            return max(1, int(there.min() if name == "auroc" else holders[1]))
        return int(len(there) * there.min())


def _guesses(predictions: Predictions) -> dict[str, float]:
    """What knowing nothing would lose on these rows: all classes alike, or the mean. In AUROC and such, all."""
    if predictions.probabilities is None:
        around = predictions.y.astype(float) - predictions.y.astype(float).mean()
        return {"rmse": float(np.sqrt((around**2).mean())), "mae": float(np.abs(around).mean())}
    k = predictions.probabilities.shape[1]
    return {"log_loss": float(np.log(k)), "brier": (1 - 1 / k) / (2 if k == 2 else 1)}


def holds(predictions: Predictions, units: Indices) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which unit has rows of which class, (units, k); a regression is one class."""
    k = 1 if predictions.probabilities is None else predictions.probabilities.shape[1]
    found = np.zeros((int(units.max()) + 1, k), dtype=np.bool_)
    found[units, 0 if k == 1 else predictions.y] = True
    return found
