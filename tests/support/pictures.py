"""Explanations whose values are known, and their pictures with a look at every file."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from handlers.pictures.canvas import settings
from handlers.pictures.explained import Explained, draw_explanation
from handlers.pictures.explained.drawing import _pictures
from handlers.pictures.explained.sheet import Sheet
from handlers.pictures.told import Picture


def linear(n: int = 60, p: int = 6, outputs: int = 1, seed: int = 0, **more: Any) -> Explained:
    """SHAP values that are exactly linear in the cells, of cells that are recognised anywhere."""
    rng = np.random.default_rng(seed)
    cells = 4321.0 + 987.654321 * rng.normal(size=(n, p))
    return of_cells(cells, rng.normal(size=(p, outputs)) * np.linspace(2, 0.2, p)[:, None] * 1e-4, **more)


def of_cells(cells: Any, weights: Any, **more: Any) -> Explained:
    n, p = cells.shape
    k = weights.shape[1]
    values = (cells - cells.mean(axis=0))[:, :, None] * weights[None]
    base = np.full(k, 0.3)
    importance = np.abs(values).mean(axis=(0, 2))
    names = [f"gene {place}" for place in range(p)]
    told: dict[str, Any] = {
        "features": names,
        "table": pd.DataFrame(cells, columns=names),
        "values": values,
        "base": base,
        "predictions": base + values.sum(axis=1),
        "outputs": [f"probability of class {place}" for place in range(k)],
        "rows": [7 * place + 3 for place in range(n)],
        "importance": importance,
        "intervals": np.column_stack([importance * 0.9, importance * 1.2]),
        "interactions": {0: 1, 1: 0},
        "is_shap": True,
        "target": "outcome",
    }
    return Explained(**(told | more))


def drawn(explained: Explained, directory: Path, include_values: bool = False) -> dict[str, Any]:
    """Name → the figures behind the picture, after a look at every file."""
    found = draw_explanation(explained, directory, include_values=include_values)
    kinds = ("svg", "png", "json")
    assert {path.name for path in directory.iterdir()} == {f"{name}.{kind}" for name in found for kind in kinds}
    for name, file in found.items():
        assert file == f"{name}.svg"
        check_svg(directory / file)
        assert (directory / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return {name: json.loads((directory / f"{name}.json").read_text("utf-8")) for name in found}


def check_svg(path: Path) -> None:
    text = path.read_text("utf-8")
    tags = [element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in ElementTree.fromstring(text).iter()]
    assert tags[:4] == ["svg", "title", "desc", "style"]
    assert not {"script", "image", "foreignObject", "metadata", "a"} & set(tags)
    assert len(text.encode()) <= 300_000
    assert not re.search(r'="[^"]*\b(nan|inf)\b', text)


def bytes_of(picture: Picture) -> list[bytes | str]:
    assert isinstance(picture.canvas, Sheet)
    return [picture.canvas.svg("name", picture.about), picture.canvas.png(), json.dumps(picture.figures)]


def sheets(explained: Explained, include_values: bool) -> Iterator[Any]:
    with settings():
        for picture in _pictures(explained, include_values):
            yield picture.name, picture.canvas


def odd(explained: Explained, **columns: Any) -> Explained:
    table = explained.table.copy()
    for place, column in enumerate(columns.values()):
        table.isetitem(place, column)
    return replace(explained, table=table)
