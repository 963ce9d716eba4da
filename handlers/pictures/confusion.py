"""The confusion matrix: counts, shaded by their share of the true class."""

import math
from typing import Any

import numpy as np

from handlers.metrics import Indices

from . import palette
from .canvas import COLUMN, TEXT, WIDTH, Canvas
from .labels import trimmed, width
from .told import Picture, Told, rounded

#: More rows of cells than that cannot be read; classes that are seldom confused are then counted together.
_MOST_CLASSES = 20
_MOST_WITH_SHARES = 8
_SIDE = 290
_LABEL_COLUMNS = 14
#: Degrees, where names do not fit side by side.
_TURNED = 50
#: White text is readable on cells with more than that share.
_DARK = 0.62
_TOP = 52
_OTHERS = "all others"


def confusion(told: Told) -> Picture:
    """Rows are true classes, columns predicted ones."""
    counts, labels = _matrix(told)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = int(np.trace(counts)) if labels[-1] != _OTHERS else int((told.said.y == told.said.predicted).sum())
    title = "Confusion matrix"
    if labels[-1] == _OTHERS:
        title += f": the {len(labels) - 1} most confused classes"
    shown = [trimmed(label, _LABEL_COLUMNS) for label in labels]
    longest = COLUMN * max(map(width, shown))
    side = min(_SIDE, 80 + 50 * len(labels), WIDTH - longest - 46)
    turned = _TURNED if longest > side / len(labels) - 6 else 0
    below = longest * math.sin(math.radians(turned)) + 44
    canvas = Canvas(_TOP + side + below, title, f"{told.subtitle}, {right:,} of them right")
    _draw(_axes(canvas, side, shown, longest, turned), counts, shares)
    figures = {"labels": labels, "counts": counts.tolist(), "row_shares": rounded(shares), "right": right}
    return Picture("confusion_matrix", canvas, f"Of {told.n} test rows {right} were predicted right.", figures)


def _matrix(told: Told) -> tuple[Indices, list[str]]:
    """(k, k) counts and their labels; with more than twenty classes the last is all others together."""
    k = len(told.labels)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (told.said.y.astype(int), told.said.predicted.astype(int)), 1)
    if k <= _MOST_CLASSES:
        return counts, list(told.labels)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    chosen = np.sort(np.lexsort((-counts.sum(axis=1), -wrong))[: _MOST_CLASSES - 1])
    group = np.full(k, len(chosen))
    group[chosen] = np.arange(len(chosen))
    together = np.zeros((len(chosen) + 1, len(chosen) + 1), dtype=np.int64)
    np.add.at(together, (group[:, None], group[None, :]), counts)
    return together, [*(told.labels[code] for code in chosen), _OTHERS]


def _axes(canvas: Canvas, side: float, labels: list[str], longest: float, turned: int) -> Any:
    k = len(labels)
    left = max(longest + 34, (WIDTH - side + longest) / 2)
    axes = canvas.axes(left, _TOP, side, side)
    axes.set(xlim=(0, k), ylim=(k, 0), xlabel="Predicted", ylabel="True")
    size = TEXT if k <= _MOST_CLASSES // 2 else TEXT - 2
    place = {"rotation": turned, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(np.arange(k) + 0.5, labels, fontsize=size, **place)
    axes.set_yticks(np.arange(k) + 0.5, labels, fontsize=size)
    axes.tick_params(length=0)
    axes.yaxis.labelpad = 8
    axes.spines[:].set_visible(False)
    return axes


def _draw(axes: Any, counts: Indices, shares: Any) -> None:
    k = len(counts)
    for row, column in np.argwhere(counts):
        colour = palette.shade(shares[row, column])
        axes.fill([column, column + 1, column + 1, column], [row, row, row + 1, row + 1], color=colour, linewidth=0)
        _number(axes, row, column, counts[row, column], shares[row, column], k)
    for line in range(k + 1):
        axes.plot([line, line], [0, k], color=palette.RULE, linewidth=0.5, clip_on=False)
        axes.plot([0, k], [line, line], color=palette.RULE, linewidth=0.5, clip_on=False)


def _number(axes: Any, row: int, column: int, count: int, share: float, k: int) -> None:
    look = {"ha": "center", "va": "baseline", "color": palette.GROUND if share > _DARK else palette.INK}
    cell = axes.bbox.height / k
    if k <= _MOST_WITH_SHARES:
        axes.text(column + 0.5, row + 0.5 - 1 / cell, f"{count:,}", fontsize=11, **look)
        axes.text(column + 0.5, row + 0.5 + 10 / cell, f"{100 * share:.0f} %", fontsize=8.5, **look)
        return
    size = min(9.0, cell / (0.62 * len(str(count)) + 0.6))
    axes.text(column + 0.5, row + 0.5 + 0.36 * size / cell, str(count), fontsize=size, **look)
