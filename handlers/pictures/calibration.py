"""Reliability: how often a model was right where it was that sure, with how many rows say so.

Of two classes: the probability of the positive one and how often it was true. Of more: the confidence in the
predicted class and how often that was right (the top-label form of Guo et al., 2017, as in the calibration error).
Ten bins of equal width; one with fewer than five rows joins a neighbour.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.metrics import Floats, Predictions

from . import palette
from .bins import FEWEST, merged, place, share_interval
from .canvas import Canvas, Entry
from .histogram import histogram
from .labels import trimmed
from .told import Picture, Told, rounded

_EDGES = np.linspace(0, 1, 11)
_LEFT, _WIDTH = 78, 284
_STYLE = {"model": (palette.MODEL, "o", "-"), "baseline": (palette.BASELINE, "s", palette.DASHED)}


@dataclass(frozen=True, slots=True)
class _Bin:
    low: float
    high: float
    rows: int
    mean: float
    observed: float
    interval: tuple[float, float]


def calibration(told: Told) -> Picture | None:
    """None with fewer than five rows."""
    if told.n < FEWEST:
        return None
    found = {which: _bins(*_claims(predictions)) for which, predictions in told.both()}
    is_binary = len(told.labels) == 2
    title = f"Calibration for «{trimmed(told.labels[1], 30)}»" if is_binary else "Calibration of the predicted class"
    canvas = Canvas(430, title, f"{told.subtitle}, 95 % intervals")
    _reliability(canvas, found, is_binary)
    _counts(canvas, found, is_binary)
    model = Entry("model", palette.MODEL, marker="o")
    beside = [Entry(trimmed(told.baseline_name, 20), palette.BASELINE, _STYLE["baseline"][2], marker="s")]
    canvas.legend(
        [model, *(beside * ("baseline" in found)), Entry("as often as said", palette.FAINT, ":", 0.9)], 14, 418, 3
    )
    figures = {which: [_told(one) for one in bins] for which, bins in found.items()}
    about = f"Observed share against predicted probability in {len(found['model'])} bins of {told.n} test rows."
    kind = "probability of the positive class" if is_binary else "confidence in the predicted class"
    return Picture("calibration", canvas, about, {"of": kind, "baseline": None} | figures)


def _claims(predictions: Predictions) -> tuple[Floats, Floats]:
    """The probability that was claimed, and whether it came true."""
    probabilities = predictions.probabilities
    assert probabilities is not None
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (predictions.y == 1).astype(float)
    return probabilities.max(axis=1), (predictions.predicted == predictions.y).astype(float)


def _bins(claimed: Floats, came_true: Floats) -> list[_Bin]:
    places = place(claimed, _EDGES)
    bins = []
    for begin, end in merged(np.bincount(places, minlength=len(_EDGES) - 1)):
        inside = (places >= begin) & (places < end)
        rows, hits = int(inside.sum()), float(came_true[inside].sum())
        mean = round(float(claimed[inside].mean()), 2)
        interval = share_interval(hits, rows)
        bins.append(_Bin(float(_EDGES[begin]), float(_EDGES[end]), rows, mean, hits / rows, interval))
    return bins


def _reliability(canvas: Canvas, found: dict[str, list[_Bin]], is_binary: bool) -> None:
    axes = canvas.axes(_LEFT, 50, _WIDTH, 244)
    axes.plot([0, 1], [0, 1], color=palette.FAINT, linewidth=0.9, linestyle=":")
    for which, bins in found.items():
        colour, marker, dashes = _STYLE[which]
        # Side by side, so that neither hides the other's interval.
        x = [one.mean + (0.004 if which == "model" else -0.004) for one in bins]
        y = [one.observed for one in bins]
        axes.vlines(x, [one.interval[0] for one in bins], [one.interval[1] for one in bins], colour, linewidth=1.2)
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.6, marker=marker, markersize=5, clip_on=False)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_ylabel("Share that was true" if is_binary else "Share that was right")
    axes.set_xticks(np.linspace(0, 1, 6), [])
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(color=palette.RULE, linewidth=0.5)


def _counts(canvas: Canvas, found: dict[str, list[_Bin]], is_binary: bool) -> None:
    axes = canvas.axes(_LEFT, 306, _WIDTH, 62)
    for which in reversed(found):
        histogram(axes, which, [_told(one) for one in found[which]], 0.1)
    axes.set(xlim=(-0.02, 1.02), ylabel="Rows per 0.1")
    axes.set_xlabel("Predicted probability" if is_binary else "Confidence in the predicted class")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.locator_params(axis="y", nbins=3, integer=True)


def _told(one: _Bin) -> dict[str, Any]:
    return {
        "from": rounded(one.low, 1),
        "to": rounded(one.high, 1),
        "rows": one.rows,
        "mean_predicted": one.mean,
        "observed": rounded(one.observed),
        "interval": rounded(one.interval),
    }
