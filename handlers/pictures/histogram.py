"""How a histogram of the model and one of the baseline share the same axes: a filled one, an outline on top."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import palette


def histogram(axes: Any, which: str, bins: Sequence[Mapping[str, Any]], width: float) -> None:
    """`which`: «model» or «baseline». `bins`: from, to, rows; a bin wider than `width` is drawn as high as that many
    rows are on average, so that areas stay true.
    """
    low = np.array([one["from"] for one in bins])
    high = np.array([one["to"] for one in bins])
    heights = np.array([one["rows"] for one in bins]) * width / (high - low)
    if which == "model":
        look = {"color": palette.SHADES[2], "edgecolor": palette.GROUND, "linewidth": 0.6}
        axes.bar(low, heights, high - low, align="edge", **look)
        return
    x, y = _outline(bins, heights.tolist())
    axes.plot(x, y, color=palette.BASELINE, linewidth=1.5, linestyle=palette.DASHED, zorder=3)


def _outline(bins: Sequence[Mapping[str, Any]], heights: Sequence[float]) -> tuple[list[float], list[float]]:
    """Down to 0 at both ends and at gaps, not between one bin and the next."""
    x: list[float] = []
    y: list[float] = []
    end = None
    for one, height in zip(bins, heights, strict=True):
        if end != one["from"]:
            x += [one["from"]] if end is None else [end, one["from"]]
            y += [0.0] if end is None else [0.0, 0.0]
        x += [one["from"], one["to"]]
        y += [height, height]
        end = one["to"]
    return ([*x, end], [*y, 0.0]) if end is not None else (x, y)
