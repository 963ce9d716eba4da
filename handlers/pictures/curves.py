"""ROC and precision-recall curves of one class against the rest, on a fixed grid.

The grid is the same for every model, so no step of a curve lies where a row put it. Areas are those of the whole
curves. Between its points a ROC curve is straight (ties count half); precision is that of the first threshold
that reaches a recall, because a straight line there would flatter (Davis & Goadrich, 2006).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.metrics import Floats, Predictions

GRID = np.linspace(0, 1, 51)


@dataclass(frozen=True, slots=True)
class Curves:
    """Of one class, or the mean of several. `tpr`, `precision`: at GRID as false-positive rate, as recall."""

    tpr: Floats
    auroc: float
    precision: Floats
    auprc: float


def by_class(predictions: Predictions) -> dict[int, Curves]:
    """Class → its curves. Of two classes the positive one; of more those that are among the rows.

    Empty where one class is all there is.
    """
    assert predictions.probabilities is not None
    there = np.unique(predictions.y).astype(int)
    if len(there) < 2:
        return {}
    chosen = [1] if predictions.probabilities.shape[1] == 2 else there.tolist()
    return {code: _curves(predictions.y == code, predictions.probabilities[:, code]) for code in chosen}


def macro(curves: dict[int, Curves]) -> Curves:
    """The mean over classes."""
    several = list(curves.values())
    return Curves(
        np.mean([one.tpr for one in several], axis=0),
        float(np.mean([one.auroc for one in several])),
        np.mean([one.precision for one in several], axis=0),
        float(np.mean([one.auprc for one in several])),
    )


def _curves(is_true: np.ndarray[Any, Any], scores: Floats) -> Curves:
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(is_true[order])[last_of_score]
    alarms = last_of_score + 1 - hits
    recall, fpr = hits / hits[-1], alarms / alarms[-1]
    precision = hits / (hits + alarms)
    tpr_from_0, fpr_from_0 = np.append(0, recall), np.append(0, fpr)
    reached = np.searchsorted(recall, np.maximum(GRID - 1e-9, 1e-9))  # at 0: the first hit
    return Curves(
        np.interp(GRID, fpr_from_0, tpr_from_0),
        float(np.trapezoid(tpr_from_0, fpr_from_0)),
        precision[reached],
        float((np.diff(recall, prepend=0) * precision).sum()),
    )
