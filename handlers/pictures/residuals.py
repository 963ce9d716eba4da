"""What a regression leaves over: how large its errors are, and where they lean to one side.

Bins of both panels hold at least five rows; a bin that joined its neighbours is drawn as high as it is on average.
"""

from typing import Any

import numpy as np

from handlers.metrics import Floats, Predictions

from . import palette
from .against_true import bins_for
from .bins import FEWEST, coarse, in_range, lies_beyond, merged, place, round_edges
from .canvas import Canvas, Entry
from .histogram import histogram
from .labels import trimmed
from .told import Picture, Told

_LEFT, _WIDTH = 66, 316


def residuals(told: Told) -> Picture | None:
    """None with fewer than five rows."""
    if told.n < FEWEST:
        return None
    errors = {which: in_range(in_range(one.y) - in_range(one.predicted)) for which, one in told.both()}
    edges = round_edges(errors["model"], bins_for(told.n) + 4)
    shapes = {which: _shape(values, edges) for which, values in errors.items()}
    along = round_edges(in_range(told.said.predicted), bins_for(told.n))
    trends = {which: _trend(one, errors[which], along, edges) for which, one in told.both()}
    beyond = lies_beyond(np.concatenate(list(errors.values())), edges)
    canvas = Canvas(444, "Residuals: true minus predicted value", told.subtitle + beyond)
    _upper(canvas, shapes, edges)
    _lower(canvas, trends, along)
    entries = [Entry("model", palette.MODEL, marker="o")]
    if told.plain is not None:
        entries.append(Entry(trimmed(told.baseline_name, 26), palette.BASELINE, palette.DASHED, marker="s"))
    canvas.legend(entries, 14, 432, 2)
    figures = {
        "histogram": {"model": shapes["model"], "baseline": shapes.get("baseline")},
        "by_prediction": {"model": trends["model"], "baseline": trends.get("baseline")},
    }
    about = f"Histogram of the residuals of {told.n} test rows, and their mean and spread by predicted value."
    return Picture("residuals", canvas, about, figures)


def _shape(errors: Floats, edges: Floats) -> list[dict[str, Any]]:
    counts = np.bincount(place(errors, edges), minlength=len(edges) - 1)
    return [
        {"from": float(edges[begin]), "to": float(edges[end]), "rows": int(counts[begin:end].sum())}
        for begin, end in merged(counts)
    ]


def _trend(predictions: Predictions, errors: Floats, along: Floats, edges: Floats) -> list[dict[str, Any]]:
    """Mean and standard deviation of the residuals by predicted value."""
    places = place(in_range(predictions.predicted), along)
    found = []
    for begin, end in merged(np.bincount(places, minlength=len(along) - 1)):
        inside = errors[(places >= begin) & (places < end)]
        bounds = {"from": float(along[begin]), "to": float(along[end]), "rows": len(inside)}
        mean, spread = (coarse(float(value), edges) for value in (inside.mean(), inside.std()))
        found.append(bounds | {"mean": mean, "standard_deviation": spread})
    return found


def _upper(canvas: Canvas, shapes: dict[str, list[dict[str, Any]]], edges: Floats) -> None:
    axes = canvas.axes(_LEFT, 50, _WIDTH, 140)
    width = float(edges[1] - edges[0])
    for which, bins in shapes.items():
        histogram(axes, which, bins, width)
    axes.axvline(0, color=palette.INK, linewidth=0.9, linestyle=":")
    axes.set(xlim=edges[[0, -1]], xlabel="Residual", ylabel=f"Rows per {width:g}")
    axes.locator_params(axis="x", nbins=7)
    axes.locator_params(axis="y", nbins=4)


def _lower(canvas: Canvas, trends: dict[str, list[dict[str, Any]]], along: Floats) -> None:
    axes = canvas.axes(_LEFT, 238, _WIDTH, 146)
    axes.axhline(0, color=palette.INK, linewidth=0.9, linestyle=":")
    shift = 0.006 * float(along[-1] - along[0])
    looks = {"baseline": (palette.BASELINE, "s", palette.DASHED, -shift), "model": (palette.MODEL, "o", "-", shift)}
    for which, bins in trends.items():
        colour, marker, dashes, aside = looks[which]
        x = [(one["from"] + one["to"]) / 2 + aside for one in bins]
        mean = np.array([one["mean"] for one in bins])
        spread = np.array([one["standard_deviation"] for one in bins])
        axes.vlines(x, mean - spread, mean + spread, colour, linewidth=1.2)
        axes.plot(x, mean, color=colour, marker=marker, markersize=4.5, linewidth=1.6, linestyle=dashes, clip_on=False)
    axes.set(xlim=along[[0, -1]], xlabel="Predicted value", ylabel="Residual, mean ± SD")
    axes.locator_params(nbins=6)
    axes.grid(color=palette.RULE, linewidth=0.4)
