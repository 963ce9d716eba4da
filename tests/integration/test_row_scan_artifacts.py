"""Real artifacts: clean after cleaning, with every model kept; refused before it."""

import importlib
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.automl import handler, portfolio
from handlers.automl.handler import run
from handlers.contract import DatasetFile, Inputs, JobRefused, Limits, Outputs
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.row_scan import refuse_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FAMILIES = {"LinearModel", "LightGBM", "RandomForest", "CatBoost", "ExtraTrees", "XGBoost", "NeuralNetTorch"}


@dataclass
class Trained:
    problem: Problem
    artifact: Path
    #: As AutoGluon left it, rows and all.
    predictor: Path
    #: Cleaned, with every model.
    everything: Path
    families: set[str]


def quiet(percent: float, message: str, **_: Any) -> None: ...


def train(frame: pd.DataFrame, folder: Path, **fields: object) -> Trained:
    folder.mkdir()
    frame.to_parquet(folder / "data.parquet")
    dataset = DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32)
    told = {"dataset_id": "d", "target_column": "target", "quality": "medium", "time_limit": 40}
    request = AutomlRequested.model_validate({**told, **fields})
    report: Any = quiet
    report.should_stop = lambda: False
    report.checkpoint = lambda: None
    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    families: set[str] = set()
    clean = handler.clean_clone

    def keep(predictor: Any, directory: Path) -> Any:
        families.update(name for name in FAMILIES for model in predictor.model_names() if model.startswith(name))
        shutil.copytree(predictor.path, folder / "predictor")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(predictor), "clone_for_deployment", _clone_whole)
            clean(predictor, folder / "everything")
        return clean(predictor, directory)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "clean_clone", keep)
        run(request, Inputs(dataset, limits=Limits(cpus=1)), out, report)
    problem = load_problem(request, dataset)
    return Trained(problem, out.model, folder / "predictor", folder / "everything", families)


def _clone_whole(predictor: Any, path: str, model: str, dirs_exist_ok: bool) -> None:
    predictor.clone(path=path, dirs_exist_ok=dirs_exist_ok)


def cancer() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    return data.data.assign(target=data.target.map({0: "malignant", 1: "benign"}))


def patients(n: int = 160) -> pd.DataFrame:
    """Every kind of column, with gaps, and three classes."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(n, 5)), columns=[f"gene {i}" for i in range(5)])
    frame["age"] = rng.integers(20, 90, n)
    frame["ward"] = rng.choice(["north", "south"], n)
    frame["smokes"] = rng.random(n) < 0.4
    frame["reads"] = rng.integers(10**6, 10**7, n)
    frame["seen"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**8, n), unit="s")
    frame["note"] = [f"seen by doctor {i * 37 % 1009} about the {word}" for i, word in enumerate(frame["ward"])]
    frame["patient"] = [f"PT{i // 4 * 7:05d}" for i in range(n)]
    frame["target"] = np.array(["a", "b", "c"])[np.digitize(frame["gene 0"] + frame["gene 1"], [-0.5, 0.7])]
    frame.loc[::7, "gene 2"], frame.loc[::9, "ward"], frame.loc[::11, "seen"] = np.nan, None, pd.NaT
    return frame


JOBS: dict[str, Any] = {
    "binary": lambda folder: train(cancer().iloc[:150, [*range(6), -1]], folder, time_limit=600),
    "regression": lambda folder: train(load_diabetes(as_frame=True).frame.iloc[:200].astype(float), folder),
    "every kind of column": lambda folder: train(patients(), folder, group_column="patient"),
    "bagged": lambda folder: bagged(folder),
}


def bagged(folder: Path) -> Trained:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portfolio, "_FAMILIES", ("LR", "XT"))
        return train(patients(), folder, quality="good", time_limit=600, group_column="patient")


@pytest.fixture(scope="module", params=JOBS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    # Libraries warn about each other when they are imported, which a job's process does once, before any job.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")
        importlib.import_module("autogluon.tabular")
    folder = tmp_path_factory.mktemp("trained")
    yield JOBS[request.param](folder / "job")
    shutil.rmtree(folder)


def test_a_cleaned_artifact_holds_no_row(trained: Trained) -> None:
    report = refuse_rows(trained.artifact, trained.problem)
    assert report.files > 5
    assert report.rows == len(trained.problem.X)
    assert report.runs > 0


def test_no_model_holds_a_row_once_cleaned(trained: Trained) -> None:
    assert len(trained.families) >= 2, trained.families
    refuse_rows(trained.everything, trained.problem)


def test_a_predictor_before_cleaning_is_refused(trained: Trained) -> None:
    with pytest.raises(JobRefused) as refused:
        refuse_rows(trained.predictor, trained.problem)
    assert refused.value.reason is ReasonCode.ROW_IN_ARTIFACT
    assert "utils/data/X.pkl" in refused.value.message


def test_a_row_planted_into_an_artifact_is_found(trained: Trained) -> None:
    row = trained.problem.X.select_dtypes("number").iloc[[17]]
    planted = trained.artifact / "artifacts" / "input_example.json"
    planted.write_text(row.to_json(orient="split", double_precision=15))
    with pytest.raises(JobRefused) as refused:
        refuse_rows(trained.artifact, trained.problem)
    assert "«artifacts/input_example.json»" in refused.value.message
    planted.unlink()


def test_every_family_was_there(trained: Trained) -> None:
    if trained.problem.problem_type == "binary":
        assert trained.families == FAMILIES
