"""Pictures of explanations against the cells that they must not show."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.pictures import bytes_of, drawn, linear, odd

from handlers.pictures.bins import FEWEST
from handlers.pictures.canvas import settings
from handlers.pictures.explained.bars import bars
from handlers.pictures.explained.beeswarm import beeswarm
from handlers.pictures.explained.dependence import dependence
from handlers.pictures.explained.levels import levels
from handlers.pictures.explained.waterfall import waterfall


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


def test_categories_have_no_name_unless_values_are_shown(tmp_path: Path) -> None:
    explained = odd(linear(), a=["SENTINEL one"] * 30 + ["SENTINEL two"] * 27 + ["SENTINEL rare"] * 3)
    explained = replace(explained, importance=np.array([9.0, 1, 1, 1, 1, 1]))
    found = drawn(explained, tmp_path / "hidden")
    assert [one["category"] for one in found["dependence_plot"]["bins"]] == ["most common", "2nd"]
    assert not [path for path in (tmp_path / "hidden").iterdir() if b"SENTINEL" in path.read_bytes()]
    drawn(explained, tmp_path / "shown", include_values=True)
    assert "SENTINEL one" in (tmp_path / "shown" / "dependence_plot.svg").read_text("utf-8")
