"""Leaks that were planted: a split that flatters, a target in disguise, and rows that no fit may see."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from events.outcomes import ModelFacts
from events.requests import AutomlRequested
from handlers import evaluation, suspicions
from handlers.automl import portfolio
from handlers.automl.handler import run
from handlers.contract import DatasetFile, Inputs, Limits, Outputs
from handlers.datasets.target import load_problem
from handlers.splits import Split
from handlers.suspects.view import View

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENTS, SAMPLES, GENES = 60, 5, 40


class Silent:
    def __call__(self, *_: Any, **__: Any) -> None: ...

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None: ...


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    # As in a job's process, where they are imported before any job.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")
        importlib.import_module("autogluon.tabular")


def train(
    frame: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch, *families: str, **asked: Any
) -> ModelFacts:
    monkeypatch.setattr(portfolio, "_FAMILIES", families)
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "data.parquet")
    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    model = run(request(**asked), Inputs(dataset(folder), limits=Limits(cpus=1)), out, Silent()).model
    assert model is not None
    return model


def request(**asked: Any) -> AutomlRequested:
    told = {"dataset_id": "d", "target_column": "target", "quality": "medium", "time_limit": 60}
    return AutomlRequested.model_validate({**told, **asked})


def dataset(folder: Path) -> DatasetFile:
    return DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32)


def parts_of(folder: Path, **asked: Any) -> Split:
    return load_problem(request(**asked), dataset(folder)).split()


def cancer() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    table: pd.DataFrame = data.data.assign(target=data.target.map({0: "malignant", 1: "benign"}))
    return table


# --- patients


def patients() -> pd.DataFrame:
    """Samples that look like their patient and tell nothing of the outcome, which is a coin flip for each patient."""
    rng = np.random.default_rng(11)
    owner = np.repeat(np.arange(PATIENTS), SAMPLES)
    genes = 2.0 * rng.normal(size=(PATIENTS, GENES))[owner] + rng.normal(size=(PATIENTS * SAMPLES, GENES))
    outcome = rng.permutation(np.arange(PATIENTS) % 2)[owner]
    table = pd.DataFrame(genes, columns=[f"gene {i}" for i in range(GENES)])
    table = table.assign(patient=[f"P-{100 + i}" for i in owner], target=np.where(outcome == 1, "ill", "well"))
    return table.sample(frac=1, random_state=0, ignore_index=True)


def test_a_split_through_patients_flatters_and_groups_tell_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = train(patients(), tmp_path / "rows", monkeypatch, "XT")
    whole = train(patients(), tmp_path / "groups", monkeypatch, "XT", group_column="patient")
    for name, model in (("split through patients", through), ("whole patients", whole)):
        low, high = model.intervals["accuracy"]
        print(f"{name}: accuracy {model.metrics['accuracy']:.2f} [{low:.2f}, {high:.2f}] on {model.n_test} rows")
    assert through.metrics["accuracy"] > 0.8
    assert through.intervals["accuracy"][0] > 0.6
    low, high = whole.intervals["accuracy"]
    assert low <= 0.5 <= high
    assert through.split_id != whole.split_id
    (told,) = [warning for warning in through.warnings if "patient" in warning and "group_column" in warning]
    assert "«patient»" in told
    assert not any("flatters" in warning for warning in whole.warnings)
    assert not any("P-1" in warning for warning in through.warnings), "a warning quotes a cell"


# --- the target in disguise


def test_the_target_in_disguise_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = cancer()
    ill = (frame["target"] == "malignant").to_numpy()
    noise = np.random.default_rng(1).normal(size=len(frame))
    frame = frame.assign(stage=np.where(ill, "IV", "I"), score=5.0 * ill + 0.3 * noise)
    model = train(frame, tmp_path, monkeypatch, "LR")
    (told,) = [warning for warning in model.warnings if "give the target away" in warning]
    assert "«stage»" in told
    assert "«score»" in told
    assert "mean radius" not in told, "a real marker is called a disguise"
    assert not any("«IV»" in warning for warning in model.warnings)


# --- rows that no fit may see


def test_no_fit_sees_a_row_of_another_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autogluon.tabular import TabularPredictor

    seen: dict[str, list[float]] = {}
    fit, fit_plain, view_of = TabularPredictor.fit, evaluation.fit_plain, suspicions.view_of

    def spy_on_fit(self: Any, train_data: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        assert kwargs.get("tuning_data") is None
        assert kwargs.get("unlabeled_data") is None
        assert kwargs.get("test_data") is None
        seen["models"] = train_data["row"].tolist()
        return fit(self, train_data, *args, **kwargs)

    def spy_on_baseline(X: pd.DataFrame, y: Any, *args: Any) -> Any:
        seen["baseline"] = X["row"].tolist()
        assert len(y) == len(X)
        return fit_plain(X, y, *args)

    def spy_on_view(*args: Any) -> View:
        view = view_of(*args)
        seen["suspicions"] = sorted(view.values[:, view.names.index("row")].tolist())
        assert len(view.y) == len(view.values)
        return view

    monkeypatch.setattr(TabularPredictor, "fit", spy_on_fit)
    monkeypatch.setattr(evaluation, "fit_plain", spy_on_baseline)
    monkeypatch.setattr(suspicions, "view_of", spy_on_view)
    train(cancer().assign(row=np.arange(569) + 0.5), tmp_path, monkeypatch, "LR")
    parts = parts_of(tmp_path)
    assert len(parts.combination)
    assert len(parts.test)
    rows = (parts.train + 0.5).tolist()
    assert seen == {"models": rows, "baseline": rows, "suspicions": rows}
