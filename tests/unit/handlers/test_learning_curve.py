"""The picture of how a network learned: the best epoch, gaps where a loss was not finite, any number of epochs."""

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from handlers.metrics import Predictions
from handlers.pictures import draw, draw_learning_curve


def history(n: int, **changed: Any) -> list[dict[str, float]]:
    """Losses of a network that begins to learn by heart at two thirds."""
    return [
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "validation_loss": 0.5 + ((epoch - 2 * n / 3) / n) ** 2,
            "validation_score": 1 - 1 / (epoch + 1),
            "learning_rate": 1e-3,
            **changed,
        }
        for epoch in range(1, n + 1)
    ]


def drawn(told: list[dict[str, float]], folder: Path, metric: str = "accuracy") -> tuple[dict[str, Any], str]:
    assert draw_learning_curve(told, metric, folder, "größe") == {"learning_curve": "learning_curve.svg"}
    text = (folder / "learning_curve.svg").read_text("utf-8")
    root = ElementTree.fromstring(text)
    paths = " ".join(element.get("d", "") for element in root.iter())
    assert "nan" not in paths.lower()
    assert "inf" not in paths.lower()
    assert "mathdefault" not in text
    assert len(text) < 100_000
    return json.loads((folder / "learning_curve.json").read_text("utf-8")), text


@pytest.mark.parametrize("n", [1, 2, 30, 100_000])
def test_any_number_of_epochs(tmp_path: Path, n: int) -> None:
    told = history(n)
    figures, text = drawn(told, tmp_path)
    best = min(told, key=lambda entry: entry["validation_loss"])["epoch"]
    assert figures["best_epoch"] == best
    assert (figures["n_epochs"], figures["target"]) == (n, "größe")
    assert {1, best, n} <= set(figures["epoch"])
    assert len(figures["epoch"]) == min(n, 201) or 200 <= len(figures["epoch"]) <= 201
    lengths = {len(figures[name]) for name in ("train_loss", "validation_loss", "validation_score", "learning_rate")}
    assert lengths == {len(figures["epoch"])}
    assert f"best after epoch {best:,}" in text


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    told = history(9)
    told[2]["train_loss"] = math.inf
    told[4]["validation_loss"] = math.nan
    told[5]["validation_score"] = -math.inf
    figures, _ = drawn(told, tmp_path)
    assert figures["train_loss"][2] is figures["validation_loss"][4] is figures["validation_score"][5] is None
    assert figures["best_epoch"] == 6


def test_without_validation_rows_the_training_loss_tells(tmp_path: Path) -> None:
    told = [{"epoch": 3, "train_loss": 1.0}, {"epoch": 4, "train_loss": 0.5}, {"epoch": 5, "train_loss": 0.7}]
    figures, text = drawn(told, tmp_path)
    assert figures["best_epoch"] == 4
    assert "validation rows" not in text
    assert "accuracy" not in text


@pytest.mark.parametrize("told", [[], history(3, train_loss=math.nan, validation_loss=math.inf)])
def test_nothing_to_draw_is_no_picture(tmp_path: Path, told: list[dict[str, float]]) -> None:
    assert draw_learning_curve(told, "r2", tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0.0, 7.0, -3.5, 1e-300, 1e300, -1e308])
def test_losses_of_any_size(tmp_path: Path, value: float) -> None:
    drawn(history(4, train_loss=value, validation_loss=value, validation_score=value), tmp_path, "rmse")


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    drawn(history(30), tmp_path / "one")
    drawn(history(30), tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_it_is_drawn_beside_the_others(tmp_path: Path) -> None:
    y = np.arange(20) % 2
    said = Predictions(y, y, np.eye(2)[y])
    told: dict[str, Any] = {"labels": None, "target": "t", "leaderboard": [], "metric": "auroc", "baseline_name": "b"}
    found = draw(said, said, directory=tmp_path, history=history(5), **told)
    assert found["learning_curve"] == "learning_curve.svg"
    assert "learning_curve" not in draw(said, said, directory=tmp_path, **told)
