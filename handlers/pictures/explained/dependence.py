"""What one feature does to the answer along its values, and what another one changes about it.

In bins: means and spreads of at least five samples. Where values may be shown: every sample as a point.
"""

from typing import Any

import numpy as np

from handlers.metrics import Indices
from handlers.pictures import palette
from handlers.pictures.labels import trimmed, width
from handlers.pictures.told import Picture

from .along import Along, Bin, along
from .colours import BAND, DOWN, PALE, RAMP, UNKNOWN, UP
from .explained import Explained, ranked
from .levels import as_numbers, levels
from .names import COLUMN, write_halves, write_ramp
from .scale import Scale
from .sheet import SIZE, Sheet

_LEFT, _RIGHT, _TOP, _DOWN, _STRIP = 62, SIZE - 18, 76, 210, 30
_NAME_COLUMNS = 30
_KEY_COLUMNS = 30
_TITLE = 62


def dependence(explained: Explained, feature: int, place: int, include_values: bool) -> Picture | None:
    """`place`: 0 for the most important feature. None where too few samples have a value."""
    sizes = np.nan_to_num(np.abs(explained.values[:, feature, :])).mean(axis=0)
    output = ranked(sizes, 1)[0]
    other = explained.interactions.get(feature)
    found = along(explained, feature, output, other, include_values)
    numbers = as_numbers(explained.table.iloc[:, feature])
    points = include_values and numbers is not None and bool(np.isfinite(numbers).any())
    if found is None and not points:
        return None
    name = trimmed(explained.name(feature), _NAME_COLUMNS)
    title = f"What «{name}» does to {explained.what(output)}"
    title = title if width(title) < _TITLE else f"What «{name}» does to the answer"
    sheet = Sheet(_TOP + _DOWN + _STRIP + 74, title, _subtitle(explained, None if points else found))
    figures: dict[str, Any] = {
        "feature": explained.name(feature),
        "of": explained.class_name(output),
        "with": None if other is None else explained.name(other),
        "step": None if found is None else found.step,
        "bins": [] if found is None else [_told(one) for one in found.bins],
        "samples": explained.n,
    }
    if points:
        figures["points"] = _points(sheet, explained, feature, output, other)
    elif found is not None:
        _binned(sheet, explained, found, feature, other)
    sheet.text(_LEFT - 48, _TOP - 12, f"↑ moves {explained.what(output)} up", size=9.5)
    about = f"What {name} adds to the answers along its values, over {explained.n} samples."
    return Picture("dependence_plot" + (f"_{place + 1}" if place else ""), sheet, about, figures)


def _subtitle(explained: Explained, found: Along | None) -> str:
    if found is None:
        return f"every point is one of {explained.n:,} samples"
    unknown = f"; {found.unknown} without" if found.unknown else ""
    return f"mean ± standard deviation over {explained.n:,} samples in bins of five or more{unknown}"


def _told(one: Bin) -> dict[str, Any]:
    bounds = {"category": one.label} if one.label else {"from": one.begin, "to": one.end}
    numbers = {"rows": one.rows, "mean": one.mean, "standard_deviation": one.deviation}
    return bounds | numbers | {"mean_where_other_is_low": one.low, "mean_where_other_is_high": one.high}


def _binned(sheet: Sheet, explained: Explained, found: Along, feature: int, other: int | None) -> None:
    bins = found.bins
    lows = [min(one.mean - one.deviation, one.low or 0.0, one.high or 0.0) for one in bins]
    highs = [max(one.mean + one.deviation, one.low or 0.0, one.high or 0.0) for one in bins]
    y = _upright(min(lows), max(highs), _TOP + _DOWN)
    x = Scale(bins[0].begin, bins[-1].end, _LEFT, _RIGHT)
    sheet.boxes([(x(one.begin) + 0.75, y(one.mean + one.deviation), x(one.end) - 0.75, y(one.mean - one.deviation))
                 for one in bins], BAND)  # fmt: skip
    _frame(sheet, x, y, explained.name(feature), [one.label for one in bins] if bins[0].label else None)
    sheet.lines([(x(one.begin) + 0.75, y(one.mean), x(one.end) - 0.75, y(one.mean)) for one in bins], palette.INK, 1.8)
    is_split = all(any(getattr(one, side) is not None for one in bins) for side in ("low", "high"))
    for side, colour in (("low", DOWN), ("high", UP)):
        line = [
            (x((one.begin + one.end) / 2), y(getattr(one, side)))
            for one in bins
            if is_split and getattr(one, side) is not None
        ]
        if line and not bins[0].label:
            sheet.curve(line, colour, 1.4)
        sheet.dots(line, palette.GROUND, 8.0)
        sheet.dots(line, colour, 6.2)
    most = max(one.rows / (one.end - one.begin) for one in bins)
    floor = _TOP + _DOWN + _STRIP
    high = [(one, (_STRIP - 6) * one.rows / (one.end - one.begin) / most) for one in bins]
    sheet.boxes([(x(one.begin) + 0.75, floor - up, x(one.end) - 0.75, floor) for one, up in high], PALE)
    sheet.text(_LEFT - 7, floor - 2, "samples", size=9, colour=palette.FAINT, ha="right")
    if is_split and other is not None:
        write_halves(sheet, _LEFT - 48, sheet.height - 12, _of(explained, other))


def _points(sheet: Sheet, explained: Explained, feature: int, output: int, other: int | None) -> list[dict[str, Any]]:
    numbers = as_numbers(explained.table.iloc[:, feature])
    assert numbers is not None
    known = np.flatnonzero(np.isfinite(numbers))
    cells, values = np.clip(numbers[known], -1e100, 1e100), explained.of(feature, output)[known]
    room = 0.03 * float(cells.max() - cells.min()) or max(0.05 * abs(float(cells[0])), 1e-3)
    x = Scale(float(cells.min()) - room, float(cells.max()) + room, _LEFT, _RIGHT)
    y = _upright(float(values.min()), float(values.max()), _TOP + _DOWN + _STRIP)
    _frame(sheet, x, y, explained.name(feature), None)
    colours = _colours(explained, other)[known]
    for colour in sorted(set(colours.tolist())):
        centres = [(x(a), y(b)) for a, b in zip(cells[colours == colour], values[colours == colour], strict=True)]
        sheet.dots(centres, RAMP[colour] if colour >= 0 else UNKNOWN, 5)
    if other is not None and colours.any():
        write_ramp(sheet, _LEFT - 48, sheet.height - 12, _of(explained, other), colours.tolist())
    return [
        {"row": int(explained.rows[int(at)]), "cell": float(f"{a:.6g}"), "adds": float(f"{b:.6g}")}
        for at, a, b in zip(known, cells, values, strict=True)
    ]


def _colours(explained: Explained, other: int | None) -> Indices:
    """(n,): places in the ramp by the other feature; all the same where it tells none apart."""
    high = None if other is None else levels(explained.table.iloc[:, other])
    if high is None or not high.count:
        return np.zeros(explained.n, dtype=np.int64)
    return np.array([high.place(int(level)) for level in high.of], dtype=np.int64)


def _upright(low: float, high: float, floor: float) -> Scale:
    """From the lowest to the highest number and 0, with a little room."""
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low) or 1.0
    return Scale(low - room, high + room, floor, _TOP)


def _frame(sheet: Sheet, x: Scale, y: Scale, name: str, categories: list[str] | None) -> None:
    floor = _TOP + _DOWN + _STRIP
    ticks = y.ticks(6)
    sheet.lines([(_LEFT, y(tick), _RIGHT, y(tick)) for tick in ticks], palette.RULE, 0.5)
    sheet.lines([(_LEFT, y(0.0), _RIGHT, y(0.0))], palette.FAINT, 0.9)
    for tick, text in zip(ticks, y.texts(ticks), strict=True):
        sheet.text(_LEFT - 7, y(tick) + 3.3, text, size=9, colour=palette.FAINT, ha="right")
    if categories is None:
        sheet.axis(x, _TOP, floor, ticks=7, grid=False)
    else:
        sheet.lines([(_LEFT, floor, _RIGHT, floor)], palette.FAINT)
        columns = int((_RIGHT - _LEFT) / len(categories) / COLUMN)
        for at, text in enumerate(categories):
            sheet.text(x(at + 0.5), floor + 14, trimmed(text, columns), size=9, colour=palette.FAINT, ha="center")
    sheet.text(_RIGHT, floor + 31, f"{trimmed(name, 70)} →" if categories is None else trimmed(name, 70), ha="right")


def _of(explained: Explained, other: int) -> str:
    return f"value of «{trimmed(explained.name(other), _KEY_COLUMNS)}»"
