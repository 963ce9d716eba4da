"""A network's epochs as curves in a real MLflow store: all of them, once, whatever was heard while it trained."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.histories import Log, ended, model, progressed, request, started
from support.libraries import for_tracking
from support.tracking import Recording, all_of, blank_database, fresh_store, recording

from infra.settings import Settings
from infra.tracking.runs import TRACED, Runs
from infra.tracking.tracking_store import TrackingStore

#: The most that a handler records of a training.
EPOCHS = 500
HISTORY = [
    {
        "epoch": float(epoch),  # as a handler tells it that rounds all its numbers
        "train_loss": 1 / epoch,
        "validation_loss": 2 / epoch,
        "validation_score": 1 - 1 / epoch,
        "learning_rate": 0.001,
    }
    for epoch in range(1, EPOCHS + 1)
]


_libraries = pytest.fixture(scope="module", autouse=True)(for_tracking)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> TrackingStore:
    return fresh_store(blank_database(tmp_path_factory), settings)


@pytest.fixture
async def house(store: TrackingStore, settings: Settings) -> AsyncIterator[Recording]:
    async with recording(store, settings) as opened:
        yield opened


def training(history: Any) -> Log:
    """A network's job from start to end, of which two words were heard on the way."""
    log, kind = Log(), {"kind": "deep_learning", "request": request("net", architecture="lstm")}
    log.add("ml.job.started", started("net", **kind))
    for seq, epoch in enumerate((3, 77)):
        metrics = {"train_loss": 1 / epoch, "validation_loss": 2 / epoch, "learning_rate": 0.001}
        word = progressed("net", seq=seq, message=f"Training epoch {epoch}/{EPOCHS}", metrics=metrics)
        log.add("ml.job.progressed", {**word, "kind": "deep_learning"})
    plan = {"version": 1, "kind": "network", "history": history}
    made = model("net-model", "net", model_type="deep_learning", architecture="lstm", plan=plan, validation_score=0.9)
    log.add("ml.model.completed", made)
    log.add("ml.job.completed", ended("net", model_id="net-model", **kind))
    return log


async def test_every_epoch_is_a_point_whatever_was_heard_on_the_way(house: Recording, store: TrackingStore) -> None:
    assert await house.tell(training(HISTORY).records) == []
    metrics = all_of(store)["runs"]["net"]["metrics"]
    for name in ("train_loss", "validation_loss", "validation_score", "learning_rate"):
        told = [(step, value) for step, _, value in metrics[f"history/{name}"]]
        assert told == [(entry["epoch"], entry[name]) for entry in HISTORY]
    assert [value for _, _, value in metrics["live/train_loss"]] == [1 / 3, 1 / 77]
    assert [value for _, _, value in metrics["validation_score"]] == [0.9], "the model's own score is no curve"


async def test_a_curve_that_was_cut_is_completed_and_never_doubled(
    house: Recording, store: TrackingStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, logged = training(HISTORY), Runs._log
    calls = 0

    def dies(self: Runs, run_id: str, metrics: list[Any], *more: Any) -> None:
        nonlocal calls
        if any(metric.key.startswith("history/") for metric in metrics):
            calls += 1
            if calls == 1:
                logged(self, run_id, metrics[:700], *more)
                raise ConnectionResetError("in the middle")
        logged(self, run_id, metrics, *more)

    monkeypatch.setattr(Runs, "_log", dies)
    await house.tell(log.records)
    assert calls == 2, "it was not tried again"
    before = all_of(store)["runs"]["net"]
    assert [len(before["metrics"][f"history/{name}"]) for name in ("train_loss", "learning_rate")] == [EPOCHS, EPOCHS]
    assert before["tags"][TRACED] == str(4 * EPOCHS)

    await house.tell(log.records)
    async with recording(store, settings, epoch="epoch-2") as another:
        await another.tell(log.records)
    assert (all_of(store)["runs"]["net"], calls) == (before, 2)


@pytest.mark.parametrize(
    "history",
    [
        None,
        "none",
        [],
        [
            None,
            3,
            {"train_loss": 1.0},
            {"epoch": "first", "train_loss": 1.0},
            {"epoch": 0.5, "train_loss": 1.0},
            {"epoch": 1, "train_loss": "low"},
        ],
    ],
)
async def test_a_newer_writers_history_harms_nobody(house: Recording, store: TrackingStore, history: Any) -> None:
    assert await house.tell(training(history).records) == []
    run = all_of(store)["runs"]["net"]
    assert run["status"] == "FINISHED"
    assert not [name for name in run["metrics"] if name.startswith("history/")]
