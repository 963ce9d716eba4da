"""Pictures of explanations against the values that they illustrate."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pictures import drawn, linear

from handlers.pictures.bins import FEWEST
from handlers.pictures.canvas import settings
from handlers.pictures.explained import Explained
from handlers.pictures.explained.bars import bars


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
