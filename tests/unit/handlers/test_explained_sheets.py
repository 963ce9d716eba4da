"""Any explanation is drawn, on its sheet, and legible."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from support.pictures import drawn, linear, odd, sheets

from handlers.pictures.explained import Explained, draw_explanation
from handlers.pictures.explained.colours import dark_style
from handlers.pictures.explained.names import labels

LONG = "ENSG00000139618.15_BRCA2_isoform_with_a_very_long_name_{:04d}_α-単球"
DARK = dict(re.findall(r"fill: (#\w+)'\]\{fill:(#\w+)!", dark_style("x")))


def test_names_that_differ_look_different_however_long_they_are() -> None:
    names = [LONG.format(place) for place in range(30)]
    assert len(set(labels(names, 20))) == 30
    assert labels(["short", "names"], 20) == ["short", "names"]
    shown = labels(["ENSG00000139618.15_BRCA2_x", "ENSG00000223972.5_DDX11L1_y", "ENSG00000227232.5_WASH7P_z"], 24)
    assert shown == ["…139618.15_BRCA2_x", "…223972.5_DDX11L1_y", "…227232.5_WASH7P_z"]


@pytest.mark.parametrize("is_shap", [True, False])
@pytest.mark.parametrize("include_values", [True, False])
@pytest.mark.parametrize("name", [LONG, "HLA-DRB1*{:02d}:" * 9, "g{}"])
def test_every_text_lies_on_the_sheet(is_shap: bool, include_values: bool, name: str) -> None:
    for outputs in (1, 3):
        explained = linear(n=30, p=25, outputs=outputs)
        explained = replace(
            explained,
            features=[name.format(*[place] * 40) for place in range(25)],
            outputs=[f"probability of CD4+/CD45RA+/CD25 MEMORY T-HELPER CELLS {place}" for place in range(outputs)],
            target="Outcome" * 50,
            is_shap=is_shap,
        )
        for picture, canvas in sheets(explained, include_values):
            for text in canvas.figure.texts:
                box = text.get_window_extent()
                assert 0 < box.x0 < box.x1 < canvas.width, (picture, text.get_text())


def luminance(colour: str) -> float:
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear_ = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear_ @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_texts_are_legible_in_light_and_dark_and_marks_seen() -> None:
    ten, one = linear(outputs=10, p=24), linear()
    texts, marks = set(), set()
    for explained in (ten, replace(one, table=one.table.mask(one.table > 5000))):
        for name, canvas in sheets(explained, False):
            for element in ElementTree.fromstring(canvas.svg(name, "")).iter():
                colours = set(re.findall(r"(?:fill|stroke): (#\w{6})", element.get("style", "")))
                (texts if element.tag.endswith("text") else marks).update(colours)
    assert len(marks) > 12
    for light in texts:
        assert contrast(light, "#ffffff") > 4.5, light
        assert contrast(DARK.get(light, light), DARK["#ffffff"]) > 4.5, light
    for light in marks - {"#ffffff"}:
        assert contrast(light, "#ffffff") > 1.2, light
        assert contrast(DARK.get(light, light), DARK["#ffffff"]) > 1.2, light


@pytest.mark.parametrize("include_values", [True, False])
@pytest.mark.parametrize(
    "explained",
    [
        linear(n=1),
        linear(n=1, p=1, interactions={}),
        linear(n=2, p=1, outputs=4, interactions={}),
        linear(n=700, p=2),
        linear(p=2, outputs=100, n=12),
        replace(linear(), values=np.zeros((60, 6, 1)), importance=np.zeros(6), intervals=np.zeros((6, 2))),
        replace(linear(), values=np.full((60, 6, 1), np.nan), importance=np.full(6, np.nan)),
        replace(linear(), values=linear().values * 1e300, base=np.array([1e308])),
        replace(linear(), values=linear().values * 1e-300, predictions=np.full((60, 1), 1e-310)),
        replace(linear(), outputs=["disease progression"], base=np.array([152.1]), interactions={}),
        replace(linear(), features=["same"] * 6, outputs=["probability of "]),
        odd(linear(), a=np.inf, b=np.nan, c=True, d=pd.Categorical(["x", "y"] * 30), e=pd.Timestamp("2026-01-01")),
        odd(linear(), a=["<b>α</b>", None, "単球"] * 20, b=[f"id {at}" for at in range(60)], c=[0.0] * 59 + [1e300]),
        odd(linear(), a=[None] * 60, b=[{"a": 1}] * 60),
        odd(linear(), a=pd.array([1, None] * 30, dtype="Int64"), b=np.arange(60) % 2 == 0, c=1e9, d=0),
    ],
)  # fmt: skip
def test_any_explanation_is_drawn(tmp_path: Path, explained: Explained, include_values: bool) -> None:
    assert {"summary_plot", "bar_plot"} < set(drawn(explained, tmp_path, include_values))
    assert len(list(tmp_path.glob("*.svg"))) <= 15


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    none = linear(n=3)
    none = replace(none, table=none.table[:0], values=none.values[:0], predictions=none.predictions[:0], rows=[])
    assert draw_explanation(none, tmp_path, include_values=False) == {}


def test_twenty_thousand_features_are_told_in_one_line(tmp_path: Path) -> None:
    explained = linear(n=12, p=20_000)
    drawn(explained, tmp_path)
    assert "and 19,980 others, together" in (tmp_path / "bar_plot.svg").read_text("utf-8")
