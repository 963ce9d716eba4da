"""A canvas for shapes in its own units, without matplotlib's axes: what is drawn is small, quick, and placed exactly.

Of one colour all shapes are one path. Written as SVG for light and dark, and as PNG on a light ground.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from handlers.metrics import Floats
from handlers.pictures import palette
from handlers.pictures.canvas import COLUMN, TEXT, Canvas
from handlers.pictures.labels import trimmed, width

from .colours import dark_style
from .glyphs import with_all_glyphs
from .scale import Scale

SIZE = 560
_SCOPE = "explained"
_PNG_DPI = 144
_TITLE_COLUMN = 8.9
_NUMBER = re.compile(r"\d+\.\d{3,}")
_MOVE, _LINE, _CLOSE = int(Path.MOVETO), int(Path.LINETO), int(Path.CLOSEPOLY)
_DOT = 0.01  # a line that is hardly there, with round ends


class Sheet(Canvas):
    """A wide canvas. Made within `settings()`."""

    def __init__(self, height: float, title: str, subtitle: str, size: float = SIZE) -> None:
        super().__init__(height, trimmed(title, int(size / _TITLE_COLUMN)), subtitle, size)
        across, down = 1 / size, 1 / height
        self._units: Any = Affine2D().scale(across, -down).translate(0, 1) + self.figure.transFigure

    def boxes(self, corners: Sequence[tuple[float, float, float, float]], colour: str) -> None:
        """Filled rectangles: left, top, right, bottom."""
        self.shapes([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in corners], colour)

    def shapes(self, outlines: Sequence[Sequence[tuple[float, float]]], colour: str) -> None:
        """Filled polygons."""
        points: list[tuple[float, float]] = []
        codes: list[int] = []
        for outline in outlines:
            points += [*outline, outline[0]]
            codes += [_MOVE] + [_LINE] * (len(outline) - 1) + [_CLOSE]
        self._path(points, codes, facecolor=colour, linewidth=0)

    def lines(
        self, ends: Sequence[tuple[float, float, float, float]], colour: str, weight: float = 0.8, dashes: Any = "-"
    ) -> None:
        """Straight ones: from x, y to x, y."""
        points = [point for x0, y0, x1, y1 in ends for point in ((x0, y0), (x1, y1))]
        look = {"edgecolor": colour, "linewidth": weight, "linestyle": dashes, "capstyle": "butt", "fill": False}
        self._path(points, [_MOVE, _LINE] * len(ends), **look)

    def curve(self, points: Sequence[tuple[float, float]], colour: str, weight: float) -> None:
        codes = [_MOVE] + [_LINE] * (len(points) - 1)
        look = {"edgecolor": colour, "linewidth": weight, "capstyle": "round", "joinstyle": "round", "fill": False}
        self._path(points, codes, **look)

    def dots(self, centres: Sequence[tuple[float, float]] | Floats, colour: str, size: float) -> None:
        points = np.repeat(np.reshape(np.asarray(centres, dtype=np.float64), (-1, 2)), 2, axis=0)
        points[1::2, 0] += _DOT
        look = {"edgecolor": colour, "linewidth": size, "capstyle": "round", "fill": False, "snap": False}
        self._path(points, [_MOVE, _LINE] * (len(points) // 2), **look)

    def _path(self, points: Any, codes: Sequence[int], **look: Any) -> None:
        if not len(points):
            return
        path = Path(np.asarray(points, dtype=np.float64).round(2), codes)
        path.should_simplify = False
        self.figure.add_artist(PathPatch(path, transform=self._units, **look))

    def axis(
        self, scale: Scale, top: float, bottom: float, ticks: int = 6, grid: bool = True, sign: bool = True
    ) -> None:
        """Below a panel: numbers at round places, and faint lines upwards from them."""
        places = scale.ticks(ticks)
        if grid:
            self.lines([(scale(place), top, scale(place), bottom) for place in places], palette.RULE, 0.5)
        self.lines([(scale.begin, bottom, scale.end, bottom)], palette.FAINT)
        texts = [text if sign else text.lstrip("−") for text in scale.texts(places)]
        for place, text in zip(places, texts, strict=True):
            self.text(scale(place), bottom + 14, text, size=TEXT - 1, colour=palette.FAINT, ha="center")

    def below(self, scale: Scale, bottom: float, up: str, down: str = "") -> None:
        """What an axis is of: at its right end the way up, at its left end the way down, if there is room."""
        self.text(scale.end, bottom + 31, f"{up} →", ha="right")
        if down and COLUMN * (width(up) + width(down) + 6) < scale.end - scale.begin:
            self.text(scale.begin, bottom + 31, f"← {down}")

    def svg(self, name: str, about: str) -> str:
        written = super().svg(name, about)
        head, body = written.split("</desc>\n", 1)
        head = head.replace("<svg ", f'<svg class="{_SCOPE}" ', 1)
        return f"{head}</desc>\n{dark_style(_SCOPE)}\n{_short(body)}"

    def png(self) -> bytes:
        written = io.BytesIO()
        canvas = FigureCanvasAgg(self.figure)
        with_all_glyphs(self.figure)
        self.figure.set_dpi(_PNG_DPI)
        canvas.print_png(written, metadata={"Software": None})
        self.figure.set_dpi(72)
        return written.getvalue()


def _short(body: str) -> str:
    """Coordinates with two decimals, and paths in one line; text is left as it is."""
    return re.sub(r' (d|x|y|transform)="([^"]*)"', lambda found: f' {found[1]}="{_shortened(found[2])}"', body)


def _shortened(numbers: str) -> str:
    return _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), numbers.replace(" \n", ""))
