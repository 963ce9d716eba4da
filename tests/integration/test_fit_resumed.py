"""A fit that is killed goes on from its checkpoint and comes to the same numbers, to the last bit."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from events.requests import DeepLearningRequested
from handlers.contract import DatasetFile, Inputs, Limits, Outputs
from handlers.deep_learning.handler import run
from handlers.networks.saved import load
from handlers.training import checkpoints

EPOCHS = 6


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    with warnings.catch_warnings():  # MLflow warns about its own type hints when it is imported
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")


@pytest.fixture(autouse=True)
def _a_checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "_TIMES_ITS_COST", 0)


class Killed(BaseException):
    """The process is gone."""


class Watcher:
    """A report that kills the job when it tells of the end of an epoch, and keeps what was said."""

    def __init__(self, kill_after: int | None = None) -> None:
        self.said: list[str] = []
        self._kill_after = kill_after

    def __call__(self, percent: float, message: str, **more: Any) -> None:
        self.said.append(message)
        if self._kill_after and message.startswith(f"Training epoch {self._kill_after}/") and more.get("metrics"):
            raise Killed

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None:
        """The folder outlives the attempt here."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds, and a number, that twelve of thirty measurements tell something of."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 30))
    amount = X[:, :12].sum(axis=1) + rng.normal(size=90)
    frame = pd.DataFrame(X, columns=[f"gene{place}" for place in range(30)])
    path = tmp_path_factory.mktemp("data") / "table.parquet"
    frame.assign(kind=np.where(amount > 0, "a", "b"), amount=amount).to_parquet(path)
    return path


def train(folder: Path, table: Path, report: Watcher, keep: Path, **asked: Any) -> tuple[dict[str, Any], Any]:
    """The facts of the model and its weights."""
    for path in (folder, keep):
        path.mkdir(parents=True, exist_ok=True)
    request = DeepLearningRequested(dataset_id="d", epochs=EPOCHS, seed=5, **asked)
    inputs = Inputs(DatasetFile("d", table, "parquet", "ab" * 32), limits=Limits(1))
    result = run(request, inputs, Outputs(folder, keep), report)
    assert result.model is not None
    saved = next((folder / "model").rglob("*.safetensors"))
    return result.model.model_dump(mode="json"), load(saved.parent)[0].state_dict()


@pytest.mark.parametrize("architecture", ["cnn_1d", "cnn_2d", "rnn", "lstm", "transformer"])
def test_killed_twice_and_the_same_to_the_last_bit(tmp_path: Path, table: Path, architecture: str) -> None:
    # Of classes one is enough: their intervals take most of a test's time.
    target, other = ("kind", "amount") if architecture == "cnn_1d" else ("amount", "kind")
    about = {"architecture": architecture, "target_column": target, "exclude_columns": [other]}
    facts, weights = train(tmp_path / "undisturbed", table, Watcher(), tmp_path / "kept", **about)

    keep = tmp_path / "kept-of-the-killed"
    for attempt, epoch in enumerate((3, 5)):
        with pytest.raises(Killed):
            train(tmp_path / f"killed-{attempt}", table, Watcher(kill_after=epoch), keep, **about)
    last = Watcher()
    resumed, same = train(tmp_path / "resumed", table, last, keep, **about)

    first_word = next(message for message in last.said if "epoch" in message)
    assert first_word.startswith(f"Training epoch 5/{EPOCHS}"), first_word
    assert resumed == facts
    assert same.keys() == weights.keys()
    assert all(torch.equal(same[name], weights[name]) for name in weights)
