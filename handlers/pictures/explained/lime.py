"""LIME's own pictures: what moved one sample's answer, and whether a feature always moves answers the same way.

LIME's values do not add up to an answer and are weights of a local model, so there is no waterfall and no swarm.
"""

from collections.abc import Sequence

import numpy as np

from handlers.pictures import palette
from handlers.pictures.labels import width
from handlers.pictures.told import Picture

from .cells import cell
from .colours import DOWN, UP
from .explained import Explained, drawable, ranked
from .grid import grid_of_two_digits, rounded_to, words
from .names import labels, widest, width_of_told, write_names
from .scale import Scale
from .sheet import SIZE, Sheet

_MOST, _MOST_SIGNS = 12, 20
_ROW, _BAR, _TOP = 21, 12.5, 54
_NAME_COLUMNS = 30


def lime_bars(explained: Explained, sample: int, include_values: bool) -> Picture:
    output = explained.output_of(sample)
    values = drawable(explained.values[sample, :, output])
    step = grid_of_two_digits(float(np.abs(values).max(initial=0.0)))
    shown = [(feature, round(values[feature] / step)) for feature in ranked(np.abs(values), _MOST)]
    shown = [(feature, moved) for feature, moved in shown if moved] or shown[:1]
    cells = [cell(explained, feature, sample, include_values) for feature, _ in shown]
    names = labels([explained.name(feature) for feature, _ in shown], _NAME_COLUMNS)
    row, fit = explained.rows[sample], _fit(explained, sample)
    subtitle = "weights of a local model" if fit is None else f"weights of a local model that fits with R² = {fit:.2f}"
    ranks = "" if include_values else f"; low and high: by rank among {explained.n:,} samples"
    sheet = Sheet(_TOP + _ROW * len(shown) + 44, f"Row {row}: what moves {explained.what(output)}", subtitle + ranks)
    moved = [(min(one, 0) * step, max(one, 0) * step) for _, one in shown]
    texts = [words(rounded_to(one, step), step, sign=True) for _, one in shown]
    _diverging(sheet, names, cells, moved, texts, "moves it")
    figures = {
        "row": int(row),
        "of": explained.class_name(output),
        "local_fit": fit,
        "weights": [
            {"feature": explained.name(feature), "moves": rounded_to(one, step)} | ({"cell": what} if what else {})
            for (feature, one), what in zip(shown, cells, strict=True)
        ],
    }
    return Picture(f"lime_{row}", sheet, f"LIME's weights for row {row}; the largest: {names[0]}.", figures)


def signs(explained: Explained) -> Picture:
    """For each feature the samples whose answer it moves up, and down."""
    top = explained.top(_MOST_SIGNS)
    outputs = [explained.output_of(sample) for sample in range(explained.n)]
    values = np.stack([drawable(explained.values[i, top, output]) for i, output in enumerate(outputs)])
    down, up = (values < 0).sum(axis=0).tolist(), (values > 0).sum(axis=0).tolist()
    names = labels([explained.name(feature) for feature in top], _NAME_COLUMNS)
    more = f"; top {len(top)} of {len(explained.features):,} features" if len(explained.features) > len(top) else ""
    many = "the probability of its class" if len(explained.outputs) > 1 else explained.what(0)
    subtitle = f"{explained.n:,} sample{'s' * (explained.n != 1)} by the sign of LIME's weight{more}"
    sheet = Sheet(_TOP + _ROW * len(top) + 44, f"Which way features move {many}", subtitle)
    moved = [(-float(a), float(b)) for a, b in zip(down, up, strict=True)]
    texts = [f"{a:,} down, {b:,} up" for a, b in zip(down, up, strict=True)]
    _diverging(sheet, names, [], moved, texts, "samples moved")
    figures = {
        "rows": [
            {"feature": explained.name(feature), "down": a, "up": b}
            for feature, a, b in zip(top, down, up, strict=True)
        ],
        "samples": explained.n,
    }
    about = f"How many of {explained.n} samples each feature moves up and down."
    return Picture("summary_plot", sheet, about, figures)


def _fit(explained: Explained, sample: int) -> float | None:
    if explained.local_fits is None or not np.isfinite(explained.local_fits[sample]):
        return None
    return round(float(explained.local_fits[sample]), 2)


def _diverging(
    sheet: Sheet, names: Sequence[str], cells: Sequence[str], moved: Sequence[tuple[float, float]],
    texts: Sequence[str], what: str,
) -> None:  # fmt: skip
    """Bars from zero to the left and to the right; their numbers in a column of their own."""
    left = 22 + widest(names) + width_of_told(cells)
    right = SIZE - 20 - 5.6 * max(map(width, texts))
    low, high = min(low for low, _ in moved), max(high for _, high in moved)
    span = high - low or 1.0
    scale = Scale(low - 0.04 * span, high + 0.04 * span, left, right)
    bottom = _TOP + _ROW * len(names)
    sheet.axis(scale, _TOP, bottom, ticks=5, sign=not what.startswith("samples"))
    middles = [_TOP + _ROW * (place + 0.5) for place in range(len(names))]
    for side, colour in ((0, DOWN), (1, UP)):
        ends = [(scale(0.0), scale(one[side]), y) for one, y in zip(moved, middles, strict=True) if one[side]]
        sheet.boxes([(min(a, b), y - _BAR / 2, max(a, b), y + _BAR / 2) for a, b, y in ends], colour)
    sheet.lines([(scale(0.0), _TOP, scale(0.0), bottom)], palette.FAINT, 0.9)
    write_names(sheet, names, middles, left - 8, cells)
    for text, y in zip(texts, middles, strict=True):
        sheet.text(right + 8, y + 3.5, text, size=9, colour=palette.FAINT)
    sheet.below(scale, bottom, f"{what} up", f"{what} down" if right - left > 230 else "down")
