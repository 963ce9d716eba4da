"""Pictures against the scores they illustrate, and against the rows that they must not show."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from handlers.metrics import Predictions, score
from handlers.pictures import draw
from handlers.pictures.bins import FEWEST, merged, place, round_edges, share_interval
from handlers.pictures.labels import clean, trimmed, width

BOARD = [{"name": f"Model_{i}", "validation_score": 0.9 - i / 50, "fit_seconds": 1.5 * i} for i in range(20)]
CLASSES = {"roc", "precision_recall", "confusion_matrix", "calibration", "leaderboard"}
UNRANKED = {"confusion_matrix", "calibration", "leaderboard"}
QUANTITIES = {"predicted_against_true", "residuals", "leaderboard"}
ODD = [
    "α-Zellen", "単球 (CD14+)", "<script>alert('1')</script>", "$x^2$ and $\\frac{1}{2}$", "long " * 100_000,
    "line\nbreak\ttab\0nul", "\u202eright to left", "\ud800", "", "]]> & \"quoted\" --",
]  # fmt: skip


def classes(k: int, n: int, seed: int = 0, sharp: float = 2.5) -> Predictions:
    y = np.concatenate([np.arange(k), np.random.default_rng(9).integers(0, k, max(0, n - k))])[:n]
    logits = np.random.default_rng(seed).normal(size=(n, k))
    logits[np.arange(n), y] += sharp
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(y, probabilities.argmax(axis=1), probabilities)


def quantities(n: int, seed: int = 0, noise: float = 30.0) -> Predictions:
    y = np.random.default_rng(9).gamma(4, 38, n)
    return Predictions(y, y + np.random.default_rng(seed).normal(size=n) * noise)


def drawn(directory: Path, said: Predictions, plain: Predictions | None = None, **more: Any) -> dict[str, Any]:
    """Name → the figures behind the picture, after a look at every SVG."""
    is_class = said.probabilities is not None
    default = [f"class {code}" for code in range(said.probabilities.shape[1])] if is_class else None
    told: dict[str, Any] = {"labels": default, "target": "outcome", "leaderboard": BOARD, "metric": "accuracy"}
    found = draw(said, plain, baseline_name="logistic regression", directory=directory, **(told | more))
    assert {path.name for path in directory.iterdir()} == {
        f"{name}.{kind}" for name in found for kind in ("svg", "json")
    }
    for name, file in found.items():
        check_svg(directory / file)
        assert file == f"{name}.svg"
    return {name: json.loads((directory / f"{name}.json").read_text("utf-8")) for name in found}


def check_svg(path: Path) -> None:
    text = path.read_text("utf-8")
    root = ElementTree.fromstring(text)
    tags = [element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in root.iter()]
    assert tags[:2] == ["svg", "title"]
    assert not {"script", "image", "style", "foreignObject", "metadata", "a"} & set(tags)
    assert root.attrib["width"] == "400"
    assert len(text.encode()) <= 100_000
    assert "nan" not in re.findall(r"[a-z]+", "".join(element.get("d", "") for element in root.iter()))


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return drawn(tmp_path_factory.mktemp("ten"), classes(10, 140), classes(10, 140, seed=1, sharp=1))


def test_curves_have_the_areas_that_were_scored(ten: dict[str, Any]) -> None:
    model, baseline = score(classes(10, 140)), score(classes(10, 140, seed=1, sharp=1))
    assert set(ten) == CLASSES
    for picture, metric in (("roc", "auroc"), ("precision_recall", "auprc")):
        for which, expected in (("model", model), ("baseline", baseline)):
            found = ten[picture][which]
            assert found[metric] == pytest.approx(expected[metric], abs=1e-4)
            # A steep step between two points of the grid costs up to half their distance.
            assert np.trapezoid(found["curve"], ten[picture]["grid"]) == pytest.approx(expected[metric], abs=0.02)
    assert [one["label"] for one in ten["roc"]["classes"]] == [f"class {code}" for code in range(10)]


def test_the_confusion_matrix_counts_every_row(ten: dict[str, Any]) -> None:
    said, figures = classes(10, 140), ten["confusion_matrix"]
    counts = np.array(figures["counts"])
    assert counts.sum() == 140
    assert np.trace(counts) == figures["right"] == (said.y == said.predicted).sum()
    assert counts.sum(axis=1).tolist() == np.bincount(said.y).tolist()
    assert np.sum(figures["row_shares"], axis=1) == pytest.approx(np.ones(10), abs=1e-3)


def test_calibration_counts_every_row_in_bins_of_five_or_more(ten: dict[str, Any]) -> None:
    said = classes(10, 140)
    for which in ("model", "baseline"):
        bins = ten["calibration"][which]
        assert sum(one["rows"] for one in bins) == 140
        assert min(one["rows"] for one in bins) >= FEWEST
        assert all(one["interval"][0] <= one["observed"] <= one["interval"][1] for one in bins)
        assert all(one["from"] <= one["mean_predicted"] <= one["to"] for one in bins)
    hits = sum(one["rows"] * one["observed"] for one in ten["calibration"]["model"])
    assert hits == pytest.approx((said.y == said.predicted).sum(), abs=0.05)


def test_a_class_of_fewer_than_five_rows_has_no_curve_of_its_own(tmp_path: Path) -> None:
    three = classes(3, 40)
    said = Predictions(np.where(np.arange(40) < 2, 2, three.y % 2), three.predicted, three.probabilities)
    found = drawn(tmp_path, said)["roc"]
    assert [one["label"] for one in found["classes"]] == ["class 0", "class 1"]
    assert found["model"]["auroc"] == pytest.approx(score(said)["auroc"], abs=1e-4)
    assert "rare classes in the mean only" in (tmp_path / "roc.svg").read_text("utf-8")


def test_two_classes_are_told_by_the_positive_one(tmp_path: Path) -> None:
    said = classes(2, 114)
    found = drawn(tmp_path, said, labels=["benign", "malignant"])
    assert found["roc"]["positive_class"] == "malignant"
    assert found["roc"]["baseline"] is None
    assert found["calibration"]["of"] == "probability of the positive class"
    shares = sum(one["rows"] * one["observed"] for one in found["calibration"]["model"])
    assert shares == pytest.approx((said.y == 1).sum(), abs=0.05)
    assert "malignant" in (tmp_path / "roc.svg").read_text("utf-8")


def test_residuals_and_predictions_count_every_row(tmp_path: Path) -> None:
    said = quantities(89)
    found = drawn(tmp_path, said, quantities(89, seed=1, noise=60))
    assert set(found) == QUANTITIES
    for parts in (found["residuals"]["histogram"], found["residuals"]["by_prediction"]):
        for bins in parts.values():
            assert sum(one["rows"] for one in bins) == 89
            assert min(one["rows"] for one in bins) >= FEWEST
    told = [count for row in found["predicted_against_true"]["counts"] for count in row if count is not None]
    assert all(count == 0 or count >= FEWEST for count in told)
    edges = found["predicted_against_true"]["edges"]
    assert edges[0] < min(said.y.min(), said.predicted.min())
    errors = said.y - said.predicted
    mean = np.average(
        [one["mean"] for one in found["residuals"]["by_prediction"]["model"]],
        weights=[one["rows"] for one in found["residuals"]["by_prediction"]["model"]],
    )
    assert mean == pytest.approx(errors.mean(), abs=1)


def numbers(text: str) -> set[float]:
    return {float(found) for found in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", text)}


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("kind", ["classes", "quantities", "constant"])
def test_no_number_is_a_value_of_a_row(tmp_path: Path, kind: str, n: int) -> None:
    said = classes(3, n) if kind == "classes" else quantities(n)
    if kind == "constant":
        said = Predictions(np.full(n, 123.456), np.full(n, 123.789))
    rows = said.probabilities if said.probabilities is not None else np.array([said.y, said.predicted])
    rows = np.append(np.ravel(rows), [] if said.probabilities is not None else said.y - said.predicted)
    drawn(tmp_path, said, said, leaderboard=[])
    for path in tmp_path.iterdir():
        told = np.array(sorted(numbers(path.read_text("utf-8"))))
        nearest = np.abs(told[:, None] - rows[None, :]) / np.abs(rows)
        # As written with four digits or more: rounder numbers are met by chance.
        shown = told[(nearest < 1e-6).any(axis=1)]
        assert not [number for number in shown if len(f"{number:g}".strip("-0.").replace(".", "")) >= 4], path.name


def test_neither_end_of_the_axes_is_the_smallest_or_largest_value(tmp_path: Path) -> None:
    values = np.array([0.0, 100.0, 20.0, 40.0, 50.0, 60.0])
    edges = round_edges(values, 10)
    assert (edges[0], edges[-1]) == (-10, 110)
    assert np.bincount(place(values, edges)).sum() == len(values)


def test_one_outlier_does_not_squeeze_all_others() -> None:
    values = np.append(np.linspace(0, 10, 50), 1e6)
    edges = round_edges(values, 10)
    assert edges[-1] < 100
    assert place(values, edges)[-1] == len(edges) - 2


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    for said in (classes(3, 60), quantities(60)):
        first, second = tmp_path / str(said.y.dtype), tmp_path / f"again {said.y.dtype}"
        drawn(first, said, said)
        drawn(second, said, said)
        for path in first.iterdir():
            assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_odd_names_are_text_on_one_line(tmp_path: Path) -> None:
    odd = [{"name": name, "validation_score": 0.5, "fit_seconds": None} for name in ODD]
    found = drawn(tmp_path, classes(10, 140), labels=ODD, target=ODD[2] + ODD[4], leaderboard=odd)
    shown = ["".join(element.itertext()) for element in ElementTree.parse(tmp_path / "roc.svg").iter()]
    for expected in ("α-Zellen", "単球 (CD14+)", "line break tab nul", "right to left", "(empty)"):
        assert any(text.strip() == expected for text in shown)
    assert any(text.startswith("$x^2$ ") for text in shown)
    assert "<script" not in (tmp_path / "confusion_matrix.svg").read_text("utf-8")
    assert max(map(len, found["confusion_matrix"]["labels"])) <= 200


def test_long_names_keep_both_ends() -> None:
    assert trimmed("CD4+ T cell, donor A", 12) == "CD4+ T c…r A"
    assert width(trimmed("細胞" * 20, 11)) <= 11
    assert clean("a\r\n  b") == "a b"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (classes(100, 30), CLASSES),
        (classes(2, 5), CLASSES),
        (Predictions(np.zeros(9, int), np.zeros(9, int), np.tile([1.0, 0.0], (9, 1))), UNRANKED),
        (Predictions(np.arange(6) % 3, np.zeros(6, int), np.eye(3)[np.zeros(6, int)]), CLASSES),
        (Predictions(np.arange(3), np.arange(3), np.eye(3)), CLASSES - {"calibration"}),
        (Predictions(np.array([1]), np.array([0]), np.eye(2)[:1]), {"confusion_matrix", "leaderboard"}),
        (quantities(5), QUANTITIES),
        (quantities(4), {"leaderboard"}),
        (Predictions(np.full(20, 7), np.full(20, 7)), QUANTITIES),
        (Predictions(np.zeros(20), np.zeros(20)), QUANTITIES),
        (Predictions(np.full(20, 1e9), 1e9 + np.arange(20) * 1e-6), QUANTITIES),
        (Predictions(np.linspace(-1e300, 1e300, 20), np.full(20, 1e-320)), QUANTITIES),
        (Predictions(np.linspace(0, 1e-200, 20), np.linspace(0, 1e-200, 20)), QUANTITIES),
        (Predictions(np.zeros(0), np.zeros(0)), {"leaderboard"}),
    ],
)  # fmt: skip
def test_degenerate_rows_are_drawn_or_left_out(tmp_path: Path, said: Predictions, expected: set[str]) -> None:
    assert set(drawn(tmp_path, said, said)) == expected


def test_many_classes_are_counted_together(tmp_path: Path) -> None:
    said = classes(100, 600)
    figures = drawn(tmp_path, said)["confusion_matrix"]
    assert len(figures["labels"]) == 20
    assert np.sum(figures["counts"]) == 600
    assert figures["right"] == (said.y == said.predicted).sum()


@pytest.mark.parametrize("scores", [[None, float("nan")], [-1e12, 0.5], [0.0], []])
def test_a_leaderboard_of_any_scores(tmp_path: Path, scores: list[float | None]) -> None:
    board = [
        {"name": f"M{place}", "validation_score": value, "fit_seconds": None} for place, value in enumerate(scores)
    ]
    found = drawn(tmp_path, quantities(4), leaderboard=board, metric="r2")
    members = found["leaderboard"]["members"] if found else []
    assert [one["validation_score"] for one in members] == [one for one in scores if one is not None and one == one]


def test_bins_that_are_too_small_join_the_smaller_neighbour() -> None:
    assert merged(np.array([0, 1, 9, 0, 6, 2, 0])) == [(1, 3), (4, 6)]
    assert merged(np.array([3, 0, 1])) == []
    assert merged(np.array([3, 0, 2])) == [(0, 3)]


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263, 0 of 20.
    assert share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert share_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


_ALONE = """
import logging, sys, warnings
from pathlib import Path
import numpy as np
logging.basicConfig(level=logging.WARNING)
from handlers.metrics import Predictions
from handlers.pictures import draw
y = np.arange(20) % 2
said = Predictions(y, y, np.eye(2)[y])
draw(said, said, labels=["単球", "b"], target="t", leaderboard=[], metric="auroc", baseline_name="b",
     directory=Path(sys.argv[1]))
"""


def test_a_process_without_a_home_draws_the_same_without_a_word(tmp_path: Path) -> None:
    alone, here = tmp_path / "alone", tmp_path / "here"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/proc/nowhere",
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ALONE, str(alone)], env=environment, capture_output=True, text=True
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    y = np.arange(20) % 2
    said = Predictions(y, y, np.eye(2)[y])
    drawn(here, said, said, labels=["単球", "b"], target="t", leaderboard=[], metric="auroc")
    assert {path.name for path in alone.iterdir()} == {path.name for path in here.iterdir()}
    assert (alone / "confusion_matrix.svg").read_bytes() == (here / "confusion_matrix.svg").read_bytes()
