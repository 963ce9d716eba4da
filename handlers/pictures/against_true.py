"""Predicted against true values as a heat map: cells, not points.

A cell is an interval of both values. Of cells with fewer than five rows the picture only tells that there are some;
the means beside them are of at least five rows.
"""

from typing import Any

import numpy as np

from handlers.metrics import Floats, Indices

from . import palette
from .bins import FEWEST, coarse, in_range, lies_beyond, merged, place, round_edges
from .canvas import Canvas, Entry
from .labels import trimmed
from .told import Picture, Told

#: Upper ends of the shades' counts as multiples of FEWEST; the last takes all above.
_LEVELS = (1, 2, 4, 10, 40)
_LEFT, _TOP, _SIZE = 66, 50, 250


def against_true(told: Told) -> Picture | None:
    """None with fewer than five rows."""
    if told.n < FEWEST:
        return None
    y, predicted = in_range(told.said.y), in_range(told.said.predicted)
    both = np.concatenate([y, predicted])
    edges = round_edges(both, bins_for(told.n))
    counts = np.zeros((len(edges) - 1, len(edges) - 1), dtype=np.int64)
    np.add.at(counts, (place(y, edges), place(predicted, edges)), 1)
    means = {which: _means(y, in_range(one.predicted), edges) for which, one in told.both()}
    canvas = Canvas(_TOP + _SIZE + 60, "Predicted against true values", told.subtitle + lies_beyond(both, edges))
    axes = _square(canvas, edges)
    levels = [FEWEST * level for level in _LEVELS]
    for row, column in np.argwhere(counts):
        colour = palette.SHADES[int(np.searchsorted(levels, counts[row, column], side="right"))]
        x, y_ = edges[[row, row + 1, row + 1, row]], edges[[column, column, column + 1, column + 1]]
        axes.fill(x, y_, color=colour, linewidth=0)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=palette.FAINT, linewidth=0.9, linestyle=":")
    _lines(axes, means)
    _keys(canvas, told, counts, levels)
    figures = {
        "edges": edges.tolist(),
        # Rows of the matrix: true values. A cell with one to four rows is null.
        "counts": [[None if 0 < count < FEWEST else int(count) for count in row] for row in counts],
        "mean_predicted": {"model": means["model"], "baseline": means.get("baseline")},
    }
    about = f"Counts of {told.n} test rows by true and predicted value, {len(edges) - 1} bins each."
    return Picture("predicted_against_true", canvas, about, figures)


def bins_for(n: int) -> int:
    """Fewer bins for fewer rows: most cells of a fine grid would hold one row."""
    return int(np.clip(np.sqrt(n), 4, 24))


def _means(y: Floats, predicted: Floats, edges: Floats) -> list[dict[str, Any]]:
    """The mean prediction by true value."""
    places = place(y, edges)
    means = []
    for begin, end in merged(np.bincount(places, minlength=len(edges) - 1)):
        inside = (places >= begin) & (places < end)
        bounds = {"from": float(edges[begin]), "to": float(edges[end]), "rows": int(inside.sum())}
        means.append(bounds | {"mean": coarse(float(predicted[inside].mean()), edges)})
    return means


def _square(canvas: Canvas, edges: Floats) -> Any:
    axes = canvas.axes(_LEFT, _TOP, _SIZE, _SIZE)
    axes.set(xlim=edges[[0, -1]], ylim=edges[[0, -1]], xlabel="True value", ylabel="Predicted value")
    axes.locator_params(nbins=6)
    axes.grid(color=palette.RULE, linewidth=0.4)
    return axes


def _lines(axes: Any, means: dict[str, list[dict[str, Any]]]) -> None:
    looks = {"baseline": (palette.BASELINE, "s", palette.DASHED), "model": (palette.INK, "o", "-")}
    for which, found in means.items():
        colour, marker, dashes = looks[which]
        x, y = [(one["from"] + one["to"]) / 2 for one in found], [one["mean"] for one in found]
        # On a light ground of its own: the cells may be dark.
        axes.plot(x, y, color=palette.GROUND, marker=marker, markersize=6, linewidth=3.6)
        axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.6, linestyle=dashes)


def _keys(canvas: Canvas, told: Told, counts: Indices, levels: list[int]) -> None:
    used = int(np.searchsorted(levels, counts.max(), side="right")) + 1
    bounds = [1, *levels]
    words = [f"{low}–{high - 1}" for low, high in zip(bounds, levels, strict=False)] + [f"≥ {levels[-1]}"]
    left = _LEFT + _SIZE + 12
    canvas.text(left, _TOP + 8, "Rows in a cell", colour=palette.FAINT)
    shades = [Entry(words[at], palette.SHADES[at], band=True) for at in range(used)]
    canvas.legend(shades, left, _TOP + 22)
    lines = [Entry("mean, model", palette.INK, weight=1.6, marker="o")]
    if told.plain is not None:
        lines.append(Entry(f"mean, {trimmed(told.baseline_name, 18)}", palette.BASELINE, palette.DASHED, 1.6, "s"))
    lines.append(Entry("exactly right", palette.FAINT, ":", 0.9))
    canvas.legend(lines, 14, _TOP + _SIZE + 50, 3)
