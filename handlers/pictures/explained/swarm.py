"""Where the dots of a feature lie: side by side at their place, those with low cells below those with high ones."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .colours import RAMP
from .explained import Explained
from .grid import Grid
from .levels import levels
from .scale import Scale

SIZE = 3.5
_PITCH = 1.04 * SIZE
_FILLED = 0.88
#: Of more samples dots would hide each other.
_MOST_EXACT = 400

#: Colour, x, and distance from the middle of the row.
Dot = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """Samples by place on the grid and colour, from 0 to 4 or −1. `exact`: (value, colour), where it may be shown."""

    name: str
    counts: Counter[tuple[int, int]]
    exact: list[tuple[float, int]]

    def told(self, grid: Grid) -> dict[str, Any]:
        """JSON values."""
        counts = [
            {"value": grid.at(place), "level": colour, "samples": self.counts[place, colour]}
            for place, colour in sorted(self.counts)
        ]
        exact = [{"value": float(f"{value:.6g}"), "level": colour} for value, colour in self.exact]
        return {"feature": self.name, "counts": counts} | ({"samples": exact} if exact else {})


def row(explained: Explained, feature: int, output: int, grid: Grid, include_values: bool) -> Row:
    values = explained.of(feature, output)
    high = levels(explained.table.iloc[:, feature])
    colours = [high.place(int(level)) for level in high.of]
    counts = Counter(zip(grid.places(values).tolist(), colours, strict=True))
    exact = sorted(zip(values.tolist(), colours, strict=True)) if include_values and explained.n <= _MOST_EXACT else []
    return Row(explained.name(feature), counts, exact)


def on_grid(one: Row, scale: Scale, grid: Grid, per: int, height: float) -> list[Dot]:
    """`per` samples are a dot. What does not fit into a column overlaps."""
    step = scale(grid.step) - scale(0.0)
    found: list[Dot] = []
    for place in sorted({place for place, _ in one.counts}):
        colours = [
            colour
            for colour in range(len(RAMP) - 1, -2, -1)
            for _ in range(-(-one.counts[place, colour] // per))
        ]  # fmt: skip
        across = 1 if len(colours) * _PITCH <= height * _FILLED else max(1, int(step / SIZE))
        down = -(-len(colours) // across)
        pitch = min(_PITCH, height * _FILLED / down)
        for at, colour in enumerate(colours):
            line, column = divmod(at, across)
            in_line = min(across, len(colours) - line * across)
            x = scale(grid.at(place)) + (column - (in_line - 1) / 2) * SIZE
            found.append((colour, x, (line - (down - 1) / 2) * pitch))
    return found


def as_they_are(one: Row, scale: Scale, height: float) -> list[Dot]:
    """Each where it lies; in the way, it moves up or down only."""
    columns: dict[int, list[tuple[int, float]]] = {}
    for value, colour in one.exact:
        columns.setdefault(int(scale(value) // SIZE), []).append((-colour, scale(value)))
    found: list[Dot] = []
    for dots in columns.values():
        pitch = min(_PITCH, height * _FILLED / len(dots))
        found += [(-colour, x, (at - (len(dots) - 1) / 2) * pitch) for at, (colour, x) in enumerate(sorted(dots))]
    return found
