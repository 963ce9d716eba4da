"""A model made again by its record: another process, another directory, no clock, and every number the same."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytest_asyncio
from execution_handlers import FOLDER, everything
from sklearn.datasets import load_breast_cancer, load_diabetes
from support.few_models import MOST

from events.requests import AutomlRequested
from events.topics import JobKind
from handlers.contract import DatasetFile, Inputs, Limits
from handlers.registry import HANDLERS
from infra.execution.local import LocalExecutor
from infra.execution.messages import Task

# One warm server for all; every job is a fresh process of it, as on a worker.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

AUTOML = HANDLERS[JobKind.AUTOML]
DIGEST = "ab" * 32
ASKED = {"dataset_id": "d", "target_column": "target", "quality": "medium", "seed": 3}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor() -> AsyncIterator[LocalExecutor]:
    # Torch imports the last of them with its first optimizer, which on a busy machine is most of a network's time here.
    executor = LocalExecutor(preload=(*AUTOML.preload, "support.few_models", "torch._dynamo"), path=[FOLDER])
    await executor.warm()
    yield executor
    await executor.stop()


@dataclass
class Done:
    """A finished job: the facts of its model, what it told on the way, and what is kept of it in the log."""

    model: dict[str, Any]
    told: list[str]
    recorded: dict[str, Any]

    @property
    def numbers(self) -> dict[str, Any]:
        """Everything of the model that two runs must have in common."""
        named = ("metrics", "intervals", "validation_score", "split_id", "architecture", "classes", "baseline")
        return {name: self.model[name] for name in named} | {"weights": self.model["plan"]["weights"]}

    @property
    def scores(self) -> dict[str, Any]:
        """Of each model: how it did on the validation rows."""
        return {member["name"]: member["validation_score"] for member in self.model["leaderboard"]}

    def trained(self, family: str) -> list[Any]:
        return [model["trained"] for model in self.model["plan"]["models"] if model["family"] == family]


async def job(
    executor: LocalExecutor,
    folder: Path,
    frame: pd.DataFrame,
    entry: str = AUTOML.entry,
    recorded: Any = None,
    **asked: Any,
) -> Any:
    """The last message of a job in a process and a folder of its own, and its messages for a person."""
    folder.mkdir(parents=True)
    frame.to_parquet(folder / "data.parquet")
    request = AutomlRequested.model_validate({**ASKED, **asked})
    dataset = DatasetFile("d", folder / "data.parquet", "parquet", DIGEST)
    task = Task(
        task_id=folder.name,
        entry=entry,
        request_model="events.requests:AutomlRequested",
        request=request.model_dump(mode="json"),
        inputs=Inputs(dataset, recorded, limits=Limits(cpus=1)),
        out_dir=folder / "out",
        keep_dir=folder / "keep",
        seed=request.seed,
    )
    *words, last = await everything(await executor.submit(task))
    if last.tag != "finished":
        return last
    recorded = {
        **last.model,
        "dataset_id": "d",
        "dataset_sha256": DIGEST,
        "training_config": request.model_dump(mode="json"),
        "environment": last.record,
    }
    return Done(
        last.model, [word.message for word in words if word.tag == "progressed"], json.loads(json.dumps(recorded))
    )


def cancer() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    table: pd.DataFrame = data.data.assign(target=data.target.map({0: "malignant", 1: "benign"}))
    return table


def diabetes() -> pd.DataFrame:
    table: pd.DataFrame = load_diabetes(as_frame=True).frame
    return table


def count_of(done: Done) -> tuple[int, int]:
    """(models that were trained, models that were to be tried) by its own words."""
    planned = {int(found[1]) for message in done.told if (found := re.search(r" of (\d+)\)", message))}
    assert len(planned) == 1
    return len(done.model["plan"]["models"]), planned.pop()


async def again(executor: LocalExecutor, folder: Path, frame: pd.DataFrame, first: Done, **asked: Any) -> Done:
    config = first.recorded["training_config"]
    same = {name: config[name] for name in ("quality", "hyperparameter_tuning")}
    done = await job(executor, folder, frame, recorded=first.recorded, rerun_of="m-1", **same, **asked)
    assert isinstance(done, Done), done
    return done


async def test_classes_with_a_network_that_the_clock_cut(executor: LocalExecutor, tmp_path: Path) -> None:
    frame = cancer()
    first = await job(executor, tmp_path / "first", frame, "support.few_models:network", time_limit=10)
    (network,) = first.trained("NN_TORCH")
    assert 0 < network["num_epochs"] < MOST
    n_trained, n_planned = count_of(first)
    assert n_trained < n_planned, "the limit cut nothing"
    replay = await again(executor, tmp_path / "elsewhere" / "again", frame, first, time_limit=1)
    assert replay.numbers == first.numbers
    assert replay.scores == first.scores
    assert replay.trained("NN_TORCH") == [network]
    assert replay.model["warnings"] == first.model["warnings"]


async def test_a_bagged_regression_that_the_clock_cut(executor: LocalExecutor, tmp_path: Path) -> None:
    frame = diabetes()
    first = await job(executor, tmp_path / "first", frame, "support.few_models:forest", time_limit=10, quality="good")
    (folds,) = first.trained("CAT")
    assert len(folds) == 8
    assert all(0 < fold["iterations"] < MOST for fold in folds.values())
    assert len({fold["iterations"] for fold in folds.values()}) > 1, "each fold has its own end"
    replay = await again(executor, tmp_path / "elsewhere" / "again", frame, first)
    assert replay.numbers == first.numbers
    assert replay.scores == first.scores
    assert replay.trained("CAT") == [folds]
    assert replay.trained("RF") == first.trained("RF")


async def test_a_search_of_settings_is_replayed_without_searching(executor: LocalExecutor, tmp_path: Path) -> None:
    frame = cancer()
    asked = {"time_limit": 12, "hyperparameter_tuning": True}
    first = await job(executor, tmp_path / "first", frame, "support.few_models:quick", **asked)
    assert any("/T2" in name for name in first.scores), "no settings were searched"
    replay = await again(executor, tmp_path / "elsewhere" / "again", frame, first)
    assert replay.numbers == first.numbers
    assert replay.scores == first.scores


async def test_another_request_or_a_record_without_a_plan_is_refused(executor: LocalExecutor, tmp_path: Path) -> None:
    frame = cancer()
    first = await job(executor, tmp_path / "first", frame, "support.few_models:linear", time_limit=20)
    for name, value in (("seed", 4), ("target_column", "mean radius")):
        asked = {"recorded": first.recorded, "rerun_of": "m-1", name: value}
        refused = await job(executor, tmp_path / name, frame, **asked)
        assert (refused.tag, refused.reason) == ("failed", "invalid_field")
        assert refused.message.startswith(f"{name} is not what the model")
    unplanned = {**first.recorded, "plan": {}}
    refused = await job(executor, tmp_path / "unplanned", frame, recorded=unplanned, rerun_of="m-1")
    assert (refused.tag, refused.reason) == ("failed", "plan_missing")
    assert "model m-1 has no recorded plan" in refused.message
