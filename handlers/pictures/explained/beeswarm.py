"""Every sample as a dot, feature by feature: how far it moved the answer, coloured by how high the cell is.

Dots lie on a round grid and are sorted by colour: neither a value nor the order of rows can be read from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlers.pictures import palette
from handlers.pictures.labels import trimmed
from handlers.pictures.told import Picture

from .colours import RAMP, UNKNOWN
from .explained import Explained, ranked
from .grid import Grid, grid_around
from .names import labels, widest, write_names, write_ramp
from .scale import Scale
from .sheet import SIZE, Sheet
from .swarm import SIZE as DOT
from .swarm import Row, as_they_are, on_grid, row

NAME = "summary_plot"
_MOST, _MOST_OF_CLASS, _CLASSES = 20, 9, 4
_HEIGHT, _HEIGHT_OF_CLASS, _TOP = 22, 19, 54
_MOST_DOTS = 160
_STEPS, _STEPS_OF_CLASS = 80, 56
_COLUMNS, _COLUMNS_OF_CLASS = 32, 22
_WIDE, _BELOW = 640, 62


@dataclass(frozen=True, slots=True)
class _Swarms:
    """A panel for each of `outputs`; all on one grid. `per` samples are a dot."""

    explained: Explained
    outputs: list[int]
    panels: list[list[Row]]
    grid: Grid
    per: int
    is_cut: bool

    @property
    def colours(self) -> set[int]:
        return {colour for rows in self.panels for one in rows for _, colour in one.counts}

    def look(self, colour: int) -> str:
        """Grey among others, but not where nothing is told by colours."""
        if colour < 0:
            return UNKNOWN if max(self.colours) >= 0 else palette.MODEL
        return RAMP[colour]


def beeswarm(explained: Explained, include_values: bool) -> Picture:
    swarms = _swarms(explained, include_values)
    is_many = len(explained.outputs) > 1
    sheet = _draw_classes(swarms) if is_many else _draw_alone(swarms)
    figures = {
        "step": swarms.grid.step,
        "panels": [
            {"of": explained.class_name(output), "features": [one.told(swarms.grid) for one in rows]}
            for output, rows in zip(swarms.outputs, swarms.panels, strict=True)
        ],
        "n_features": len(explained.features),
        "n_samples": explained.n,
    }
    most = ", ".join(one.name for one in swarms.panels[0][:3])
    about = f"Of {explained.n} samples, how far each feature moved the answer. Most of all: {most}."
    return Picture(NAME, sheet, about, figures)


def _swarms(explained: Explained, include_values: bool) -> _Swarms:
    sizes = np.abs(np.nan_to_num(explained.values)).mean(axis=0)
    if len(explained.outputs) == 1:
        outputs, tops, steps = [0], [explained.top(_MOST)], _STEPS
    else:
        outputs, steps = sorted(ranked(sizes.sum(axis=0), _CLASSES)), _STEPS_OF_CLASS
        tops = [ranked(sizes[:, output], _MOST_OF_CLASS) for output in outputs]
    columns = [explained.of(feature, output) for output, top in zip(outputs, tops, strict=True) for feature in top]
    grid = grid_around(np.stack(columns, axis=1), steps)
    panels = [
        [row(explained, feature, output, grid, include_values) for feature in top]
        for output, top in zip(outputs, tops, strict=True)
    ]
    is_cut = any(grid.is_cut(values) for values in columns)
    return _Swarms(explained, outputs, panels, grid, -(-explained.n // _MOST_DOTS), is_cut)


def _subtitle(swarms: _Swarms) -> str:
    explained, rows = swarms.explained, len(swarms.panels[0])
    each = "each dot is one" if swarms.per == 1 else f"each dot is up to {swarms.per}"
    told = [f"{explained.n:,} sample{'s' * (explained.n != 1)}, {each}"]
    if len(explained.outputs) > len(swarms.outputs):
        told.insert(0, f"{len(swarms.outputs)} of {len(explained.outputs)} classes")
    if len(explained.features) > rows:
        told.append(f"top {rows} of {len(explained.features):,} features")
    if swarms.is_cut:
        told.append("outliers at the ends")
    return "; ".join(told)


def _draw_alone(swarms: _Swarms) -> Sheet:
    explained, rows = swarms.explained, swarms.panels[0]
    sheet = Sheet(_TOP + len(rows) * _HEIGHT + 68, f"What moves {explained.what(0)}", _subtitle(swarms))
    names = labels([one.name for one in rows], _COLUMNS)
    left, bottom = 22 + widest(names), _TOP + _HEIGHT * len(rows)
    scale = _scale(swarms.grid, left, SIZE - 16)
    _panel(sheet, swarms, rows, names, scale, _TOP, _HEIGHT)
    sheet.below(scale, bottom, f"moves {explained.what(0)} up", "down")
    write_ramp(sheet, left, bottom + 54, "value of the feature, by rank", swarms.colours)
    return sheet


def _draw_classes(swarms: _Swarms) -> Sheet:
    explained = swarms.explained
    down = len(swarms.panels[0]) * _HEIGHT_OF_CLASS
    height = _TOP + -(-len(swarms.outputs) // 2) * (down + _BELOW) + 22
    sheet = Sheet(height, "What moves the probability of each class", _subtitle(swarms), _WIDE)
    names = [labels([one.name for one in rows], _COLUMNS_OF_CLASS) for rows in swarms.panels]
    for at, (output, rows) in enumerate(zip(swarms.outputs, swarms.panels, strict=True)):
        begin, top = (at % 2) * (_WIDE / 2), _TOP + 18 + (at // 2) * (down + _BELOW)
        left = begin + 22 + max(widest(other) for other in names[at % 2 :: 2])
        scale = _scale(swarms.grid, left, begin + _WIDE / 2 - 16)
        sheet.text(left, top - 6, trimmed(explained.class_name(output), 22), weight="bold")
        _panel(sheet, swarms, rows, names[at], scale, top, _HEIGHT_OF_CLASS)
        sheet.below(scale, top + down - 2, "up", "down")
    write_ramp(sheet, 14, sheet.height - 14, "value of the feature, by rank", swarms.colours)
    return sheet


def _scale(grid: Grid, begin: float, end: float) -> Scale:
    return Scale((grid.low - 1) * grid.step, (grid.high + 1) * grid.step, begin, end)


def _panel(
    sheet: Sheet, swarms: _Swarms, rows: Sequence[Row], names: Sequence[str], scale: Scale, top: float, height: float
) -> None:
    bottom = top + height * len(rows)
    middles = [top + height * (place + 0.5) for place in range(len(rows))]
    sheet.axis(scale, top, bottom, ticks=7 if scale.end - scale.begin > 200 else 4)
    sheet.lines([(scale.begin, y, scale.end, y) for y in middles], palette.RULE, 0.5)
    sheet.lines([(scale(0.0), top, scale(0.0), bottom)], palette.FAINT, 0.9)
    write_names(sheet, names, middles, scale.begin - 8)
    cloud: dict[int, list[tuple[float, float]]] = {}
    for one, middle in zip(rows, middles, strict=True):
        grid = swarms.grid
        dots = as_they_are(one, scale, height) if one.exact else on_grid(one, scale, grid, swarms.per, height)
        for colour, x, aside in dots:
            cloud.setdefault(colour, []).append((x, middle + aside))
    for colour in sorted(cloud):
        sheet.dots(cloud[colour], swarms.look(colour), DOT)
