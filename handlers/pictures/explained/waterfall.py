"""One sample: from the average answer to the model's own, step by step.

Contributions are rounded to a hundredth of the largest or so, and what is drawn is what is told. How high a cell is
among the samples is told as a rank; the cell itself only where values may be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.pictures import palette
from handlers.pictures.told import Picture

from .cells import cell
from .colours import DOWN, UP
from .explained import Explained, drawable, ranked
from .grid import grid_of_two_digits, rounded_to, words
from .names import labels, widest, width_of_told, write_names
from .scale import Scale
from .sheet import SIZE, Sheet

_MOST = 10
_ROW, _BAR, _TOP = 23, 13, 58
_NAME_COLUMNS = 30
_OF_THE_WAY = 0.1
_HEAD = 5
_NUMBER_WIDTH = 52


@dataclass(frozen=True, slots=True)
class _Steps:
    """Whole numbers of `step`: where it begins, what each shown feature adds, what all others add together."""

    step: float
    base: int
    shown: list[tuple[int, int]]
    others: int

    @property
    def end(self) -> int:
        return self.base + self.others + sum(added for _, added in self.shown)


def waterfall(explained: Explained, sample: int, include_values: bool) -> Picture:
    output = explained.output_of(sample)
    steps = _steps(explained, sample, output)
    cells = [cell(explained, feature, sample, include_values) for feature, _ in steps.shown]
    row = explained.rows[sample]
    answer = words(rounded_to(steps.end, steps.step), steps.step)
    height = _TOP + _ROW * (len(steps.shown) + 3) + 44
    sheet = Sheet(height, f"Row {row}: why {explained.what(output)} is {answer}", _subtitle(explained, include_values))
    _draw(sheet, explained, steps, cells, output, int(row))
    figures: dict[str, Any] = {
        "row": int(row),
        "of": explained.class_name(output),
        "base": rounded_to(steps.base, steps.step),
        "prediction": rounded_to(steps.end, steps.step),
        "contributions": [
            {"feature": explained.name(feature), "adds": rounded_to(added, steps.step)} | ({"cell": one} if one else {})
            for (feature, added), one in zip(steps.shown, cells, strict=True)
        ],
        "others": {"features": len(explained.features) - len(steps.shown), "add": rounded_to(steps.others, steps.step)},
    }
    first = explained.name(steps.shown[0][0]) if steps.shown else "none"
    about = f"What each feature adds to the average answer for row {row}; the largest: {first}."
    return Picture(f"waterfall_{row}", sheet, about, figures)


def _steps(explained: Explained, sample: int, output: int) -> _Steps:
    values = drawable(explained.values[sample, :, output])
    base = float(drawable(explained.base)[output])
    end = float(drawable(explained.predictions)[sample, output])
    step = grid_of_two_digits(max(float(np.abs(values).max(initial=0.0)), _OF_THE_WAY * abs(end - base)))
    top = ranked(np.abs(values), _MOST)
    shown = [(feature, round(values[feature] / step)) for feature in top]
    shown = [(feature, added) for feature, added in shown if added]
    begins, ends = round(base / step), round(end / step)
    return _Steps(step, begins, shown, ends - begins - sum(added for _, added in shown))


def _subtitle(explained: Explained, include_values: bool) -> str:
    told = "from the average answer, by what each feature adds"
    return told if include_values else f"{told}; low and high: by rank among {explained.n:,} samples"


def _draw(sheet: Sheet, explained: Explained, steps: _Steps, cells: Sequence[str], output: int, row: int) -> None:
    names = labels([explained.name(feature) for feature, _ in steps.shown], _NAME_COLUMNS)
    rest = len(explained.features) - len(steps.shown)
    others = f"{rest:,} other{'s' * (rest != 1)}" if rest else "rounding"
    told = ["average answer", *names, others, f"row {row}"]
    left = 22 + widest(told) + width_of_told(cells)
    at = np.cumsum([steps.base, *(added for _, added in steps.shown), steps.others])
    scale = _scale(at * steps.step, left, SIZE - 12)
    bottom = _TOP + _ROW * len(told)
    sheet.axis(scale, _TOP, bottom)
    middle = [_TOP + _ROW * (place + 0.5) for place in range(len(told))]
    write_names(sheet, names, middle[1:-2], left - 8, cells)
    sheet.text(left - 8, middle[-2] + 3.5, others, ha="right", colour=palette.FAINT)
    for text, y in ((told[0], middle[0]), (told[-1], middle[-1])):
        sheet.text(left - 8, y + 3.5, text, ha="right", weight="bold")
    x = [scale(float(place) * steps.step) for place in at]
    sheet.lines([(x[i], middle[i], x[i], middle[i + 1]) for i in range(len(x))], palette.FAINT, 0.8)
    for way, colour in ((1, UP), (-1, DOWN)):
        moves = [(x[i], x[i + 1], middle[i + 1]) for i in range(len(at) - 1) if (at[i + 1] - at[i]) * way > 0]
        sheet.shapes([_arrow(*move) for move in moves], colour)
    sheet.dots([(x[0], middle[0]), (x[-1], middle[-1])], palette.INK, 7)
    for place, number in ((0, steps.base), (-1, steps.end)):
        text = words(rounded_to(number, steps.step), steps.step)
        _beside(sheet, scale, (x[place], x[place]), middle[place], text, palette.INK, weight="bold")
    for i in range(len(at) - 1):
        text = words(rounded_to(int(at[i + 1] - at[i]), steps.step), steps.step, sign=True)
        _beside(sheet, scale, (x[i], x[i + 1]), middle[i + 1], text, palette.FAINT)
    sheet.below(scale, bottom, explained.what(output))


def _scale(at: Any, begin: float, end: float) -> Scale:
    """With room for numbers beside the bars."""
    low, high = float(at.min()), float(at.max())
    span = high - low or max(abs(high), 1.0) * 0.1
    room = span * _NUMBER_WIDTH / (end - begin - 2 * _NUMBER_WIDTH)
    return Scale(low - room, high + room, begin, end)


def _arrow(begin: float, end: float, y: float) -> list[tuple[float, float]]:
    """A bar with a head in the way that it goes; a short one is all head."""
    head = min(_HEAD, abs(end - begin)) * (1 if end > begin else -1)
    top, bottom = y - _BAR / 2, y + _BAR / 2
    return [(begin, top), (end - head, top), (end, y), (end - head, bottom), (begin, bottom)]


def _beside(
    sheet: Sheet, scale: Scale, ends: tuple[float, float], y: float, text: str, colour: str, **look: Any
) -> None:
    """At the end of a bar, on the side where it points to."""
    if ends[1] >= ends[0]:
        sheet.text(ends[1] + 7, y + 3.5, text, size=9.5, colour=colour, **look)
    else:
        sheet.text(ends[1] - 7, y + 3.5, text, size=9.5, colour=colour, ha="right", **look)
