"""Where matplotlib is set up: its object interface, no pyplot, and the same bytes every time."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Without a home it warns that its list of fonts is kept in a temporary folder: nothing that a job could mend.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

import matplotlib  # noqa: E402 - after its logger is quiet
from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from . import palette  # noqa: E402
from .labels import trimmed, width  # noqa: E402
from .svg import tidy  # noqa: E402

#: Pixels, and units of the picture: text of 10 is readable at the width that it is drawn for.
WIDTH = 400
TEXT = 10
#: What a character of that size takes, on average and at most.
COLUMN = 6.1
_MARGIN = 12
_LINE = 15
_TITLE_COLUMNS = 52
_SUBTITLE_COLUMNS = 68

_SETTINGS = {
    "svg.fonttype": "none",  # text stays text: a browser finds glyphs that no single font has
    "text.parse_math": False,  # a dollar sign in a class's name is a dollar sign
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": TEXT,
    "axes.edgecolor": palette.FAINT,
    "axes.labelcolor": palette.INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
    "xtick.color": palette.FAINT,
    "ytick.color": palette.FAINT,
    "xtick.labelcolor": palette.INK,
    "ytick.labelcolor": palette.INK,
    "text.color": palette.INK,
    "lines.solid_capstyle": "round",
}


@contextmanager
def settings() -> Iterator[None]:
    """Ours on top of matplotlib's own: a file of settings on this machine changes no picture."""
    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(defaults | _SETTINGS), warnings.catch_warnings():
        # matplotlib measures with a font of its own; the browser has others.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        yield


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a legend; `band` draws a filled box."""

    text: str
    colour: str
    dashes: Any = "-"
    weight: float = 2.0
    marker: str = ""
    band: bool = False


class Canvas:
    """A picture measured from its upper left corner, with a title and what it is about.

    Made within `settings()`.
    """

    def __init__(self, height: float, title: str, subtitle: str, width: float = WIDTH) -> None:
        self.height, self.width = height, width
        self.title = trimmed(title, round(_TITLE_COLUMNS * width / WIDTH))
        self.subtitle = trimmed(subtitle, round(_SUBTITLE_COLUMNS * width / WIDTH))
        self.figure: Any = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor=palette.GROUND)
        self.text(_MARGIN, 20, self.title, size=12.5, weight="bold")
        self.text(_MARGIN, 36, self.subtitle, colour=palette.FAINT)

    def axes(self, left: float, top: float, across: float, down: float) -> Any:
        box = (left / self.width, 1 - (top + down) / self.height, across / self.width, down / self.height)
        axes = self.figure.add_axes(box)
        axes.tick_params(length=3, width=0.8, pad=3)
        return axes

    def text(
        self, left: float, baseline: float, words: str, size: float = TEXT, colour: str = palette.INK, **more: Any
    ) -> None:
        x, y = left / self.width, 1 - baseline / self.height
        self.figure.text(x, y, words, fontsize=size, color=colour, va="baseline", **more)

    def legend(self, entries: Sequence[Entry], left: float, top: float, columns: int = 1) -> None:
        """Downwards, then to the right: at fixed places, whatever font a browser has."""
        rows = -(-len(entries) // columns)
        for begin in range(0, len(entries), rows):
            column = entries[begin : begin + rows]
            for row, entry in enumerate(column):
                y = top + row * _LINE
                self._sample(entry, left, y)
                self.text(left + 24, y + 3.5, entry.text)
            left += 42 + COLUMN * max(width(entry.text) for entry in column)

    def _sample(self, entry: Entry, x: float, y: float) -> None:
        places = [x / self.width, (x + 9) / self.width, (x + 18) / self.width]
        line = Line2D(
            places,
            [1 - y / self.height] * 3,
            color=entry.colour,
            linewidth=9 if entry.band else entry.weight,
            linestyle=entry.dashes,
            marker=entry.marker,
            markevery=[1],
            markersize=5,
            solid_capstyle="butt",
        )
        self.figure.add_artist(line)

    def svg(self, name: str, about: str) -> str:
        """The finished picture; `about` tells its content to those who cannot see it."""
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        written = io.StringIO()
        with matplotlib.rc_context({"svg.hashsalt": name}):
            FigureCanvasSVG(self.figure).print_svg(written, metadata=nothing)
        return tidy(written.getvalue(), (self.width, self.height), f"{self.title}. {self.subtitle}", about)


def legend_height(n: int, columns: int = 1) -> int:
    """What `legend` takes of n entries."""
    return -(-n // columns) * _LINE
