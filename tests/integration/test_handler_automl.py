"""AutoML from a file to a model that others can load: real data, small portfolios, few seconds."""

import importlib
import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from events.errors import ReasonCode
from events.outcomes import ModelFacts
from events.requests import AutomlRequested
from handlers.automl import portfolio
from handlers.automl.handler import run
from handlers.contract import DatasetFile, Inputs, JobRefused, Limits, Outputs, Result
from handlers.datasets.target import load_problem

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Reports:
    stop_after: int | None = None
    told: list[tuple[float, str]] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, percent: float, message: str, *, eta_s: float | None = None, metrics: Any = None) -> None:
        assert eta_s is None or eta_s >= 0
        self.told.append((percent, message))
        self.metrics.append(dict(metrics or {}))

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.told) >= self.stop_after

    def checkpoint(self) -> None: ...


@dataclass
class Job:
    result: Result
    out: Outputs
    reports: Reports
    frame: pd.DataFrame
    inputs: Inputs
    request: AutomlRequested


def train(frame: pd.DataFrame, folder: Path, reports: Reports | None = None, **fields: object) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "data.parquet")
    reports = reports or Reports()
    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    inputs = Inputs(DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32), limits=Limits(cpus=1))
    told = {"dataset_id": "d", "target_column": "target", "quality": "medium", "time_limit": 60}
    request = AutomlRequested.model_validate({**told, **fields})
    return Job(run(request, inputs, out, reports), out, reports, frame, inputs, request)


def small(monkeypatch: pytest.MonkeyPatch, *families: str) -> None:
    monkeypatch.setattr(portfolio, "_FAMILIES", families)


def cancer() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    return data.data.assign(target=data.target.map({0: "malignant", 1: "benign"}))


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    # MLflow warns about its own type hints when it is imported, which a job's process does once, before any job.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")
        importlib.import_module("autogluon.tabular")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    with pytest.MonkeyPatch.context() as patch:
        small(patch, "LR", "GBM", "XGB", "XT")
        return train(cancer(), tmp_path_factory.mktemp("cancer"))


def test_the_facts_are_whole(job: Job) -> None:
    model = job.result.model
    assert model is not None
    assert (model.problem_type, model.classes) == ("binary", ["benign", "malignant"])
    assert (model.n_train, model.n_combination, model.n_test) == (370, 86, 113)
    assert model.metrics["accuracy"] > 0.93
    assert set(model.intervals) == set(model.metrics) == set(model.baseline.metrics)
    assert model.baseline.name == "logistic regression"
    assert 0 < (model.validation_score or 0) < 0.3
    assert {"LinearModel", "LightGBM", "XGBoost"} <= {member["name"] for member in model.leaderboard}
    assert model.baseline.beaten == (model.metrics["log_loss"] < model.baseline.metrics["log_loss"])
    assert model.baseline.beaten or any("does not beat" in warning for warning in model.warnings)
    json.dumps(job.result.record)
    assert len(model.model_dump_json()) < 100_000


def test_progress_is_told_model_by_model(job: Job) -> None:
    percents = [percent for percent, _ in job.reports.told]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    messages = [message for _, message in job.reports.told]
    assert any("Training LightGBMXT (3 of 9), best log_loss so far 0." in message for message in messages)
    assert any("validation_log_loss" in metrics for metrics in job.reports.metrics)


def test_nothing_but_the_model_is_left(job: Job) -> None:
    assert sorted(path.name for path in job.out.directory.iterdir()) == ["model"]
    names = {path.name for path in job.out.model.rglob("*")}
    assert "MLmodel" in names
    assert not {"utils", "__pycache__", "input_example.json"} & names


def test_the_artifact_knows_neither_us_nor_this_machine(job: Job) -> None:
    for path in job.out.model.rglob("*"):
        if path.is_file():
            assert b"handlers." not in path.read_bytes(), path
    assert str(job.out.directory) not in (job.out.model / "MLmodel").read_text()


ELSEWHERE = """
import json, sys
import pandas as pd
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
table = pd.read_parquet(sys.argv[2])
answer = model.predict(table.sample(frac=1, axis="columns", random_state=0).assign(more=1))
# Only now: a model of the ensemble is loaded when it is asked for the first time.
assert not any(name.split(".")[0] in ("handlers", "events", "infra") for name in sys.modules), "our code was imported"
try:
    model.predict(table.drop(columns=["mean radius", "mean area"]))
except Exception as error:
    refusal = str(error)
print(json.dumps({"columns": list(answer.columns), "said": answer["prediction"].tolist(), "refusal": refusal}))
"""


def test_the_artifact_predicts_in_a_process_without_our_code(job: Job, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-P", "-c", ELSEWHERE, str(job.out.model), str(job.inputs.dataset.path)]  # type: ignore[union-attr]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=100, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["columns"] == ["prediction", "probability_benign", "probability_malignant"]
    problem = load_problem(job.request, job.inputs.dataset)  # type: ignore[arg-type]
    test = problem.split().test
    accuracy = np.mean(np.array(told["said"])[test] == job.frame["target"].to_numpy()[test])
    assert accuracy == pytest.approx(job.result.model.metrics["accuracy"])  # type: ignore[union-attr]
    assert "lacks 2 of the model's 30 columns: 'mean radius', 'mean area'" in told["refusal"]


def test_the_same_request_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "LR", "GBM", "XT")
    one, other = (train(cancer(), tmp_path / name, time_limit=3600, seed=5).result.model for name in ("1", "2"))
    assert one is not None
    assert other is not None
    assert one.metrics == other.metrics
    assert one.intervals == other.intervals
    assert one.split_id == other.split_id


def test_no_fit_sees_combination_or_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autogluon.tabular import TabularPredictor

    small(monkeypatch, "LR")
    seen: list[pd.DataFrame] = []
    fit = TabularPredictor.fit

    def spy(self: Any, train_data: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        assert kwargs.get("tuning_data") is None
        seen.append(train_data)
        return fit(self, train_data, *args, **kwargs)

    monkeypatch.setattr(TabularPredictor, "fit", spy)
    frame = cancer().assign(row=np.arange(569) + 0.5)
    job = train(frame, tmp_path)
    parts = load_problem(job.request, job.inputs.dataset).split()  # type: ignore[arg-type]
    assert [table["row"].tolist() for table in seen] == [(parts.train + 0.5).tolist()]


def test_groups_are_kept_apart_and_are_no_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "LR", "XT")
    data = load_diabetes(as_frame=True).frame.assign(patient=[f"p{i // 3}" for i in range(442)])
    model = train(data, tmp_path, quality="good", time_limit=30, group_column="patient").result.model
    assert model is not None
    assert (model.problem_type, model.primary_metric, model.classes) == ("regression", "rmse", None)
    assert set(model.metrics) == {"rmse", "mae", "r2", "spearman"}
    assert model.metrics["r2"] > 0.25
    about = json.loads((tmp_path / "out" / "model" / "artifacts" / "about.json").read_text())
    assert about["features"] == ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    assert model.validation_score is not None


def test_odd_columns_and_rare_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "LR", "GBM")
    rng = np.random.default_rng(0)
    n = 205
    kind = np.repeat(["β-cell", "α/δ", "rare, very"], [120, 80, 5])
    frame = pd.DataFrame(
        {
            'größe "µm", [x]<y>': rng.normal(size=n) + (kind == "β-cell") * 3,
            "ja": rng.random(n) < 0.5,
            "基因": pd.Categorical(rng.choice(["a", "b"], n)),
            "note": [f"seen on ward {i} by doctor {i * 7}" for i in range(n)],
            "day": pd.date_range("2020-01-01", periods=n),
            "empty": np.nan,
            "target": kind,
        }
    )
    frame.loc[::7, 'größe "µm", [x]<y>'] = np.nan
    frame.loc[::5, "基因"] = None
    model = train(frame, tmp_path, quality="medium").result.model
    assert model is not None
    assert model.problem_type == "multiclass"
    assert model.classes == ["rare, very", "α/δ", "β-cell"]
    assert (model.n_train, model.n_combination, model.n_test) == (133, 31, 41)
    assert any("not used" in warning for warning in model.warnings)
    assert "1 feature columns hold no values" in model.warnings
    # The rarest class was learned: it has a probability of its own.
    import mlflow.pyfunc

    answer = mlflow.pyfunc.load_model(str(tmp_path / "out" / "model")).predict(frame)
    assert (answer["probability_rare, very"] > 0).any()


def test_the_ids_of_patients_are_nowhere_in_the_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "LR", "GBM")
    frame = cancer().assign(pid=[f"PATIENT-ZQX{i // 5:04}-SECRET" for i in range(569)])
    model = train(frame, tmp_path).result.model
    assert model is not None
    assert any("Not learned from" in warning and "«pid»" in warning for warning in model.warnings)
    files = [path for path in (tmp_path / "out" / "model").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"ZQX0" in path.read_bytes()]


def test_a_second_is_just_enough_or_told_to_be_too_little(tmp_path: Path) -> None:
    def outcome() -> JobRefused | ModelFacts | None:
        try:
            return train(cancer(), tmp_path, time_limit=1).result.model
        except JobRefused as refused:
            return refused

    found = outcome()
    if isinstance(found, JobRefused):
        assert found.reason is ReasonCode.TRAINING_FAILED
        assert "time_limit" in found.message
    else:
        assert found is not None
        assert found.leaderboard


def test_no_time_at_all_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.automl.fitting._FIT_SHARE", 1e-3)
    with pytest.raises(JobRefused) as refused:
        train(cancer(), tmp_path, time_limit=1)
    assert refused.value.reason is ReasonCode.TRAINING_FAILED
    assert "time_limit: allow more time" in refused.value.message
    assert not any((tmp_path / "out").iterdir())


def test_a_soft_stop_finishes_with_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "LR", "GBM", "XT")
    model = train(cancer(), tmp_path, Reports(stop_after=4)).result.model
    assert model is not None
    assert len(model.leaderboard) == 1
    assert model.metrics["accuracy"] > 0.9


def test_a_stop_before_the_first_model(tmp_path: Path) -> None:
    with pytest.raises(JobRefused) as refused:
        train(cancer(), tmp_path, Reports(stop_after=0))
    assert refused.value.reason is ReasonCode.TRAINING_FAILED
    assert "stopped" in refused.value.message


def test_an_unknown_metric_is_told_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(JobRefused) as refused:
        train(cancer(), tmp_path, eval_metric="rmse")
    assert refused.value.reason is ReasonCode.INVALID_FIELD
    assert "auroc" in refused.value.message


@pytest.mark.parametrize("metric", ["auroc", "log_loss"])
def test_another_metric_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str) -> None:
    small(monkeypatch, "LR", "GBM")
    model = train(cancer(), tmp_path, eval_metric=metric).result.model
    assert model is not None
    assert model.primary_metric == metric
    scores = [member["validation_score"] for member in model.leaderboard]
    assert scores == sorted(scores, reverse=metric == "auroc")
    assert all(score >= 0 for score in scores)
