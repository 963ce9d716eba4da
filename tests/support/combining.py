"""A dataset and the models made of it, and ensembles of these, as a worker would have them."""

import hashlib
import importlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from events.requests import AutomlRequested, DeepLearningRequested, EnsembleRequested
from handlers.automl import portfolio
from handlers.contract import DatasetFile, Inputs, Limits, ModelFiles, Outputs
from handlers.datasets.target import load_problem
from handlers.ensemble import handler
from handlers.splits import Split


@dataclass
class Reports:
    told: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, percent: float, message: str, **_: Any) -> None:
        self.told.append((percent, message))

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None: ...


@dataclass
class Place:
    """A dataset and the models that were made of it, as a worker would have them."""

    folder: Path
    frame: pd.DataFrame
    models: dict[str, ModelFiles] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.frame.to_parquet(self.folder / "data.parquet")

    @property
    def dataset(self) -> DatasetFile:
        return DatasetFile("cohort", self.folder / "data.parquet", "parquet", "ab" * 32)

    def split(self, **asked: Any) -> Split:
        return load_problem(AutomlRequested(dataset_id="cohort", target_column="target", **asked), self.dataset).split()

    def out(self, name: str) -> Outputs:
        out = Outputs(self.folder / f"out-{name}", self.folder / f"keep-{name}")
        out.directory.mkdir()
        out.keep.mkdir(exist_ok=True)
        return out

    def train(self, name: str, request: Any, run: Any) -> ModelFiles:
        out = self.out(name)
        inputs = Inputs(self.dataset, models=self.models, limits=Limits(1))
        return self.keep(name, run(request, inputs, out, Reports()), request, out)

    def keep(self, name: str, result: Any, request: Any, out: Outputs) -> ModelFiles:
        facts = {
            **result.model.model_dump(mode="json"),
            "model_id": name,
            "model_name": f"Model_{name}",
            "dataset_id": "cohort",
            "dataset_sha256": self.dataset.sha256,
            "artifacts_path": f"models/{name}/attempt-1",
            "files": hashes(out.model),
            "training_config": request.model_dump(mode="json"),
        }
        self.models[name] = ModelFiles(name, out.model, facts)
        return self.models[name]

    def network(self, name: str, **asked: Any) -> ModelFiles:
        told = {"architecture": "cnn_1d", "epochs": 2, "dataset_id": "cohort", "target_column": "target", **asked}
        run = importlib.import_module("handlers.deep_learning.handler").run
        return self.train(name, DeepLearningRequested.model_validate(told), run)

    def linear(self, name: str, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> ModelFiles:
        """AutoML of linear models."""
        told = {"quality": "medium", "time_limit": 60, "dataset_id": "cohort", "target_column": "target", **asked}
        run = importlib.import_module("handlers.automl.handler").run
        with monkeypatch.context() as patched:
            patched.setattr(portfolio, "_FAMILIES", ("LR",))
            return self.train(name, AutomlRequested.model_validate(told), run)

    def combine(self, *names: str, reports: Reports | None = None, as_name: str = "", limits: Any = None, **asked: Any):
        request = EnsembleRequested.model_validate({"model_ids": list(names), "method": "voting", **asked})
        out = self.out(as_name or f"ensemble-{time.monotonic_ns()}")
        inputs = Inputs(self.dataset, models=self.models, limits=limits or Limits(1))
        result = handler.run(request, inputs, out, reports or Reports())
        if as_name:
            self.keep(as_name, result, request, out)
        return Ensemble(result, out)


@dataclass
class Ensemble:
    result: Any
    out: Outputs

    @property
    def model(self) -> Any:
        return self.result.model

    @property
    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = self.model.plan
        return found

    @property
    def combination(self) -> dict[str, Any]:
        path = self.out.model / "artifacts" / "ensemble" / "combination.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def problem_in(place: Place) -> Any:
    return load_problem(AutomlRequested(dataset_id="cohort", target_column="target"), place.dataset)


def cohort(n: int, seed: int = 0) -> pd.DataFrame:
    """Three causes, each of which two columns show; a row's number stands in a column of its own."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 3))
    views = np.repeat(hidden, 2, axis=1) + 0.5 * rng.normal(size=(n, 6))
    frame = pd.DataFrame(views, columns=[f"größe {place}" for place in range(6)])
    return frame.assign(target=np.where(hidden.sum(axis=1) > 0, "ill", "well"))


def amounts(n: int) -> pd.DataFrame:
    """Numbers, each of which is found once: a row is known by its target."""
    frame = cohort(n).drop(columns="target")
    noise = np.random.default_rng(1).normal(size=n)
    return frame.assign(row=np.arange(n) + 0.5, target=10 * frame.iloc[:, :6].sum(axis=1) + noise)


BLOCKS = {"a": ["größe 0", "größe 1"], "b": ["größe 2", "größe 3"], "c": ["größe 4", "größe 5"]}


def three_causes(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three models, each of which sees one cause."""
    place = Place(tmp_path_factory.mktemp("classes"), cohort(400))
    for name, columns in BLOCKS.items():
        place.network(name, feature_columns=columns)
    return place
