"""Pictures of explanations against the values that they illustrate, and against the cells that they must not show."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from handlers.pictures.bins import FEWEST
from handlers.pictures.canvas import settings
from handlers.pictures.explained import Explained, draw_explanation
from handlers.pictures.explained.bars import bars
from handlers.pictures.explained.beeswarm import beeswarm
from handlers.pictures.explained.colours import dark_style
from handlers.pictures.explained.dependence import dependence
from handlers.pictures.explained.drawing import _pictures
from handlers.pictures.explained.levels import levels
from handlers.pictures.explained.names import labels
from handlers.pictures.explained.sheet import Sheet
from handlers.pictures.explained.waterfall import waterfall
from handlers.pictures.told import Picture

LONG = "ENSG00000139618.15_BRCA2_isoform_with_a_very_long_name_{:04d}_α-単球"
DARK = dict(re.findall(r"fill: (#\w+)'\]\{fill:(#\w+)!", dark_style("x")))


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


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Explained, dict[str, Any]]:
    explained = linear(n=40, p=24, outputs=10)
    return explained, drawn(explained, tmp_path_factory.mktemp("ten"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Explained, dict[str, Any]]:
    explained = linear()
    return explained, drawn(explained, tmp_path_factory.mktemp("two"))


def test_few_samples_all_have_a_picture_and_of_many_some(two: tuple[Explained, dict[str, Any]], tmp_path: Path) -> None:
    first = {"summary_plot", "bar_plot", "dependence_plot", "dependence_plot_2", "dependence_plot_3"}
    assert first < set(two[1])
    assert len(set(two[1]) - first) == 6
    ten = linear(n=10)
    assert set(drawn(ten, tmp_path)) - first == {f"waterfall_{row}" for row in ten.rows}


def test_the_swarm_counts_every_sample_where_its_value_lies(two: tuple[Explained, dict[str, Any]]) -> None:
    explained, found = two
    (panel,) = found["summary_plot"]["panels"]
    step = found["summary_plot"]["step"]
    order = np.argsort(-explained.importance)
    assert [one["feature"] for one in panel["features"]] == [explained.features[place] for place in order]
    for one, place in zip(panel["features"], order, strict=True):
        told = np.repeat([c["value"] for c in one["counts"]], [c["samples"] for c in one["counts"]])
        assert np.abs(np.sort(told) - np.sort(explained.values[:, place, 0])).max() <= step / 2 + 1e-12


def test_bars_are_the_importances_and_their_parts_those_of_the_classes(ten: tuple[Explained, dict[str, Any]]) -> None:
    explained, found = ten
    shown = found["bar_plot"]["features"]
    order = np.argsort(-explained.importance)[:20]
    assert [one["importance"] for one in shown] == pytest.approx(explained.importance[order], rel=0.005)
    assert found["bar_plot"]["others"] == 4
    assert len(found["bar_plot"]["classes"]) == 8
    sizes = np.abs(explained.values[:, order[0]]).mean(axis=0)
    kept = [int(name.removeprefix("class ")) for name in found["bar_plot"]["classes"][:-1]]
    assert shown[0]["shares"][:-1] == pytest.approx((sizes / sizes.sum())[kept], abs=0.001)
    assert all(sum(one["shares"]) == pytest.approx(1, abs=0.005) for one in shown)


def test_where_nothing_is_known_of_other_samples_there_is_no_interval() -> None:
    explained = replace(linear(n=1), intervals=np.full((6, 2), np.nan), importance=np.full(6, 0.25))
    with settings():
        picture = bars(explained)
        assert "interval" not in picture.canvas.subtitle
        assert {(one["importance"], one["low"], one["high"]) for one in picture.figures["features"]} == {
            (0.25, None, None)
        }


def test_a_swarm_of_many_classes_shows_those_that_are_moved_most(ten: tuple[Explained, dict[str, Any]]) -> None:
    explained, found = ten
    sizes = np.abs(explained.values).sum(axis=(0, 1))
    most = sorted(np.argsort(-sizes)[:4])
    assert [panel["of"] for panel in found["summary_plot"]["panels"]] == [f"class {place}" for place in most]


def test_waterfalls_add_up_from_the_average_to_the_answer(ten: tuple[Explained, dict[str, Any]]) -> None:
    explained, found = ten
    for name in [name for name in found if name.startswith("waterfall_")]:
        told = found[name]
        sample = list(explained.rows).index(told["row"])
        output = int(np.argmax(explained.predictions[sample]))
        assert told["of"] == f"class {output}"
        added = sum(one["adds"] for one in told["contributions"]) + told["others"]["add"]
        assert told["base"] + added == pytest.approx(told["prediction"])
        largest = np.abs(explained.values[sample, :, output]).max()
        assert told["prediction"] == pytest.approx(explained.predictions[sample, output], abs=largest / 10)
        assert np.abs(told["contributions"][0]["adds"]) == pytest.approx(largest, abs=largest / 20)


def test_dependence_is_told_in_bins_of_five_or_more(two: tuple[Explained, dict[str, Any]]) -> None:
    explained, found = two
    for name in ("dependence_plot", "dependence_plot_2"):
        bins = found[name]["bins"]
        feature = list(explained.features).index(found[name]["feature"])
        cells, values = explained.table.iloc[:, feature].to_numpy(), explained.values[:, feature, 0]
        assert sum(one["rows"] for one in bins) == 60
        assert min(one["rows"] for one in bins) >= FEWEST
        assert bins[0]["from"] < cells.min()
        told = [one[key] for one in bins for key in ("mean", "standard_deviation")]
        assert np.ptp(values) / found[name]["step"] <= 100
        assert told == pytest.approx(np.rint(np.array(told) / found[name]["step"]) * found[name]["step"])
        for one in bins[1:-1]:
            inside = (cells >= one["from"]) & (cells < one["to"])
            assert one["rows"] == inside.sum()
            assert one["mean"] == pytest.approx(values[inside].mean(), abs=np.ptp(values) / 50)


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?", text.replace(",", ""))


def told_exactly(folder: Path, exact: Any) -> list[tuple[str, str]]:
    """Numbers with four digits or more in any SVG or figures that are one of `exact`, to five of its digits."""
    exact = np.sort(np.abs(np.ravel(exact)))
    found = []
    for path in [path for path in folder.iterdir() if path.suffix != ".png"]:
        for text in set(numbers(path.read_text("utf-8"))):
            number = float(text)
            near = exact[np.clip(np.searchsorted(exact, number) + np.array([-1, 0]), 0, len(exact) - 1)]
            if len(text.strip("0.").replace(".", "")) >= 4 and (np.abs(near / number - 1) < 1e-5).any():
                found.append((path.name, text))
    return found


@pytest.mark.parametrize("n", [3, 40])
def test_no_number_is_a_cell_or_what_a_cell_could_be_reckoned_from(tmp_path: Path, n: int) -> None:
    for outputs, is_shap in ((1, True), (3, True), (3, False)):
        explained = replace(linear(n=n, outputs=outputs), is_shap=is_shap, local_fits=np.full(n, 0.5))
        folder = tmp_path / f"{outputs} {is_shap}"
        drawn(explained, folder)
        assert told_exactly(folder, np.concatenate([np.ravel(explained.table), np.ravel(explained.values)])) == []


def test_cells_are_told_where_they_are_asked_for(tmp_path: Path) -> None:
    explained = linear()
    found = drawn(explained, tmp_path, include_values=True)
    feature = list(explained.features).index(found["dependence_plot"]["feature"])
    cells = [one["cell"] for one in found["dependence_plot"]["points"]]
    assert cells == pytest.approx(explained.table.iloc[:, feature], rel=1e-5)
    assert told_exactly(tmp_path, explained.table)
    assert told_exactly(tmp_path, explained.values)


def bytes_of(picture: Picture) -> list[bytes | str]:
    assert isinstance(picture.canvas, Sheet)
    return [picture.canvas.svg("name", picture.about), picture.canvas.png(), json.dumps(picture.figures)]


def test_a_swarm_does_not_change_where_values_are_moved_within_its_step() -> None:
    explained = linear()
    with settings():
        step = beeswarm(explained, False).figures["step"]
        places = np.rint(explained.values / step)
        assert 30 < np.ptp(places) < 100
        # In each column in order; the ends stay, and with them the grid.
        shift = np.sort(np.random.default_rng(1).uniform(-0.4, 0.4, places.shape), axis=0)
        order = np.argsort(np.argsort(explained.values, axis=0), axis=0)
        is_end = (places == places.max()) | (places == places.min())
        moved = places + np.where(is_end, 0, np.take_along_axis(shift, order, axis=0))
        before, after = (beeswarm(replace(explained, values=some * step), False) for some in (places, moved))
        assert not np.allclose(places, moved, atol=0.2)
        assert bytes_of(before) == bytes_of(after)
        # What lies a step further is seen.
        moved[0] = np.where(is_end[0], places[0], places[0] + 1)
        assert bytes_of(before) != bytes_of(beeswarm(replace(explained, values=moved * step), False))


def test_a_waterfall_does_not_change_where_values_are_moved_within_its_step() -> None:
    # The step is a power of ten of which the largest value has at least twenty.
    step = 0.001
    places = np.array([[150, -80, 40, 20, 10, 3]] * 10)[:, :, None]
    plain = replace(linear(n=10), values=places * step, predictions=np.full((10, 1), 0.443))
    shift = np.random.default_rng(3).uniform(-0.4, 0.4, places.shape)
    with settings():
        first = waterfall(plain, 4, False)
        assert [one["adds"] for one in first.figures["contributions"]] == [0.15, -0.08, 0.04, 0.02, 0.01, 0.003]
        assert bytes_of(first) == bytes_of(waterfall(replace(plain, values=(places + shift) * step), 4, False))
        assert bytes_of(first) != bytes_of(waterfall(replace(plain, values=(places + 1) * step), 4, False))


def test_the_order_of_rows_cannot_be_seen() -> None:
    explained = linear(n=40, outputs=2)
    order = np.random.default_rng(5).permutation(explained.n)
    other = replace(
        explained,
        table=explained.table.iloc[order].reset_index(drop=True),
        values=explained.values[order],
        predictions=explained.predictions[order],
        rows=[explained.rows[place] for place in order],
    )
    with settings():
        for draw in (lambda one: beeswarm(one, False), bars, lambda one: dependence(one, 0, 0, False)):
            assert bytes_of(draw(explained)) == bytes_of(draw(other))


def test_colours_are_ranks_of_five_or_more_samples() -> None:
    assert np.bincount(levels(pd.Series(np.arange(100.0))).of).tolist() == [20] * 5
    silent = levels(pd.Series([0.0] * 80 + list(range(1, 21))))
    assert silent.of[:80].tolist() == [0] * 80
    assert np.bincount(silent.of).min() >= FEWEST
    assert [silent.word(0), silent.word(99)] == ["low", "high"]
    for few in ([1.0] * 30, [0.0] * 30 + [1.0] * 4, list(range(9)), ["a", "b"] * 9):
        assert set(levels(pd.Series(few)).of) == {-1}
    missing = levels(pd.Series([np.nan] * 3 + list(range(20))))
    assert missing.of[:3].tolist() == [-1] * 3
    assert missing.word(0) == ""


def test_the_same_explanation_gives_the_same_bytes(tmp_path: Path) -> None:
    for outputs, is_shap in ((1, True), (3, False)):
        explained = replace(linear(n=3, outputs=outputs), is_shap=is_shap)
        first, second = tmp_path / f"{outputs}{is_shap}", tmp_path / f"again {outputs}{is_shap}"
        drawn(explained, first)
        drawn(explained, second)
        for path in first.iterdir():
            assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_lime_has_pictures_of_its_own(tmp_path: Path) -> None:
    explained = replace(linear(n=8, outputs=3), is_shap=False, local_fits=np.linspace(0.1, 0.9, 8))
    found = drawn(explained, tmp_path)
    assert set(found) == {"summary_plot", "bar_plot", *(f"lime_{row}" for row in explained.rows)}
    told = found[f"lime_{explained.rows[7]}"]
    output = int(np.argmax(explained.predictions[7]))
    values = explained.values[7, :, output]
    assert told["local_fit"] == 0.9
    assert [one["moves"] for one in told["weights"]] == pytest.approx(
        values[np.argsort(-np.abs(values))], abs=np.abs(values).max() / 20
    )
    assert all(one["up"] + one["down"] == 8 for one in found["summary_plot"]["rows"])


def test_names_that_differ_look_different_however_long_they_are() -> None:
    names = [LONG.format(place) for place in range(30)]
    assert len(set(labels(names, 20))) == 30
    assert labels(["short", "names"], 20) == ["short", "names"]
    shown = labels(["ENSG00000139618.15_BRCA2_x", "ENSG00000223972.5_DDX11L1_y", "ENSG00000227232.5_WASH7P_z"], 24)
    assert shown == ["…139618.15_BRCA2_x", "…223972.5_DDX11L1_y", "…227232.5_WASH7P_z"]


def sheets(explained: Explained, include_values: bool) -> Iterator[Any]:
    with settings():
        for picture in _pictures(explained, include_values):
            yield picture.name, picture.canvas


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


def odd(explained: Explained, **columns: Any) -> Explained:
    table = explained.table.copy()
    for place, column in enumerate(columns.values()):
        table.isetitem(place, column)
    return replace(explained, table=table)


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


def test_categories_have_no_name_unless_values_are_shown(tmp_path: Path) -> None:
    explained = odd(linear(), a=["SENTINEL one"] * 30 + ["SENTINEL two"] * 27 + ["SENTINEL rare"] * 3)
    explained = replace(explained, importance=np.array([9.0, 1, 1, 1, 1, 1]))
    found = drawn(explained, tmp_path / "hidden")
    assert [one["category"] for one in found["dependence_plot"]["bins"]] == ["most common", "2nd"]
    assert not [path for path in (tmp_path / "hidden").iterdir() if b"SENTINEL" in path.read_bytes()]
    drawn(explained, tmp_path / "shown", include_values=True)
    assert "SENTINEL one" in (tmp_path / "shown" / "dependence_plot.svg").read_text("utf-8")


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    none = linear(n=3)
    none = replace(none, table=none.table[:0], values=none.values[:0], predictions=none.predictions[:0], rows=[])
    assert draw_explanation(none, tmp_path, include_values=False) == {}


def test_twenty_thousand_features_are_told_in_one_line(tmp_path: Path) -> None:
    explained = linear(n=12, p=20_000)
    drawn(explained, tmp_path)
    assert "and 19,980 others, together" in (tmp_path / "bar_plot.svg").read_text("utf-8")
