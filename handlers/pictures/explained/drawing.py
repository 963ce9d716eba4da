"""All pictures of one explanation: SVG for light and dark, PNG, and the figures behind them as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handlers.pictures.canvas import settings
from handlers.pictures.labels import clean
from handlers.pictures.told import Picture

from .bars import bars
from .beeswarm import beeswarm
from .dependence import dependence
from .explained import Explained, spread
from .lime import lime_bars, signs
from .sheet import Sheet
from .waterfall import waterfall

#: Of ten samples or fewer each has a picture; of many some stand for all.
_ALL_SAMPLES, _SOME_SAMPLES = 10, 6
_DEPENDENCES = 3


def draw_explanation(explained: Explained, directory: Path, *, include_values: bool) -> dict[str, str]:
    """Writes <name>.svg, <name>.png and <name>.json into `directory`; returns name → file of the SVG.

    Names: summary_plot, bar_plot, and of SHAP values dependence_plot (_2, _3) and waterfall_<row>, of LIME's
    lime_<row>. Nothing of no samples or no features.

    Without `include_values` no number in them is a cell's, or a value that a cell could be reckoned from more
    exactly than to a step of a round grid: dots lie on one, contributions are rounded to one, cells are told by
    ranks, and what a feature does along its values is told in bins of at least five samples. With it, the samples' own
    cells and points are shown. The same input gives the same bytes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not explained.n or not len(explained.features):
        return {}
    written = {}
    with settings():
        for picture in _pictures(explained, include_values):
            _write(picture, explained, directory)
            written[picture.name] = f"{picture.name}.svg"
    return written


def _pictures(explained: Explained, include_values: bool) -> Iterator[Picture]:
    samples = spread(explained, _ALL_SAMPLES if explained.n <= _ALL_SAMPLES else _SOME_SAMPLES)
    if not explained.is_shap:
        yield signs(explained)
        yield bars(explained)
        yield from (lime_bars(explained, sample, include_values) for sample in samples)
        return
    yield beeswarm(explained, include_values)
    yield bars(explained)
    for place, feature in enumerate(explained.top(_DEPENDENCES)):
        found = dependence(explained, feature, place, include_values)
        if found is not None:
            yield found
    yield from (waterfall(explained, sample, include_values) for sample in samples)


def _write(picture: Picture, explained: Explained, directory: Path) -> None:
    assert isinstance(picture.canvas, Sheet)
    about: dict[str, Any] = {
        "picture": picture.name,
        "title": picture.canvas.title,
        "target": clean(explained.target),
        "method": "shap" if explained.is_shap else "lime",
    }
    drawn = picture.canvas.svg(picture.name, picture.about)
    (directory / f"{picture.name}.svg").write_text(drawn, encoding="utf-8")
    (directory / f"{picture.name}.png").write_bytes(picture.canvas.png())
    figures = json.dumps(about | picture.figures, ensure_ascii=False, allow_nan=False)
    (directory / f"{picture.name}.json").write_text(figures, encoding="utf-8")
