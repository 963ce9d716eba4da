"""Deep learning from a file to a model: every kind of table, the words on the way, and requests that are absurd."""

import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from events.errors import ReasonCode
from events.requests import DeepLearningRequested
from handlers.contract import DatasetFile, Inputs, JobRefused, Limits, Outputs, Result
from handlers.deep_learning.handler import run
from handlers.network_jobs.artifact import saved_in
from handlers.networks.saved import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ARCHITECTURES = ("cnn_1d", "cnn_2d", "rnn", "lstm", "transformer")


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> Iterator[None]:
    with warnings.catch_warnings():  # MLflow warns about its own type hints when it is imported
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@dataclass
class Reports:
    """A report that keeps what it is told, and asks to stop after so many epochs."""

    stop_after: int | None = None
    told: list[tuple[float, str]] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    etas: list[float] = field(default_factory=list)

    def __call__(self, percent: float, message: str, *, eta_s: float | None = None, metrics: Any = None) -> None:
        self.told.append((percent, message))
        self.metrics.append(dict(metrics or {}))
        if eta_s is not None:
            self.etas.append(eta_s)

    def should_stop(self) -> bool:
        ended = [metrics for metrics in self.metrics if "train_loss" in metrics]
        return self.stop_after is not None and len(ended) >= self.stop_after

    def checkpoint(self) -> None: ...


@dataclass
class Job:
    result: Result
    out: Outputs
    reports: Reports

    @property
    def model(self) -> Any:
        assert self.result.model is not None
        return self.result.model

    @property
    def history(self) -> list[dict[str, float]]:
        found: list[dict[str, float]] = self.model.plan["history"]
        return found


def train(frame: pd.DataFrame, folder: Path, reports: Reports | None = None, **asked: Any) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "data.parquet")
    out = Outputs(folder / "out", folder / "keep")
    for path in (out.directory, out.keep):
        path.mkdir()
    inputs = Inputs(DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32), limits=Limits(1))
    told = {"dataset_id": "d", "target_column": "target", "architecture": "cnn_1d", "epochs": 3}
    reports = reports or Reports()
    return Job(run(DeepLearningRequested.model_validate({**told, **asked}), inputs, out, reports), out, reports)


def refusal(frame: pd.DataFrame, folder: Path, **asked: Any) -> JobRefused:
    with pytest.raises(JobRefused) as refused:
        train(frame, folder, **asked)
    return refused.value


def cohort(n: int = 80, p: int = 12, k: int = 2, seed: int = 0) -> pd.DataFrame:
    """Classes that three of p genes tell."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    amount = X[:, : min(3, p)].sum(axis=1) + 0.3 * rng.normal(size=n)
    codes = np.digitize(amount, np.quantile(amount, np.arange(1, k) / k))
    frame = pd.DataFrame(X, columns=[f"gene{place}" for place in range(p)])
    return frame.assign(target=np.array(["healthy", "ill", "worse"])[codes])


def amounts(n: int = 80, p: int = 12) -> pd.DataFrame:
    frame = cohort(n, p)
    return frame.assign(target=1000 + 50 * frame.iloc[:, :3].sum(axis=1))


def learned_by(job: Job) -> Any:
    return load(saved_in(job.out.model))


# --- what a job leaves


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return train(cohort(), tmp_path_factory.mktemp("classes"), epochs=15, learning_rate=0.01, batch_size=16)


def test_the_facts_are_whole(job: Job) -> None:
    model = job.model
    assert (model.model_type, model.problem_type, model.primary_metric) == ("deep_learning", "binary", "log_loss")
    assert model.classes == ["healthy", "ill"]
    assert (model.n_train, model.n_combination, model.n_test) == (64, 0, 16)
    assert model.metrics["accuracy"] > 0.7
    assert model.architecture.startswith("cnn_1d ")
    assert set(model.intervals) == set(model.metrics) == set(model.baseline.metrics)
    assert model.validation_score is not None
    assert model.hyperparameters["name"] == "cnn_1d"
    assert (model.hyperparameters["epochs"], model.hyperparameters["weighted"]) == (15, False)
    assert job.result.record["hardware"]["accelerator"] in ("cpu", "cuda")
    assert job.result.record["hardware"]["precision"] in ("32-true", "bf16-mixed")
    json.dumps(job.result.record)
    json.dumps(model.plan, allow_nan=False)


def test_every_epoch_is_told_and_is_in_the_history(job: Job) -> None:
    percents = [percent for percent, _ in job.reports.told]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    epochs = [word for _, word in job.reports.told if word.startswith("Training epoch") and "validation loss" in word]
    assert epochs[0].startswith("Training epoch 1/15: loss ")
    assert len(epochs) == len(job.history) == job.model.plan["epochs_run"]
    assert [word["epoch"] for word in job.history] == list(range(1, len(job.history) + 1))
    assert all({"train_loss", "validation_loss", "learning_rate"} <= set(word) for word in job.history)
    assert job.history[-1]["train_loss"] < job.history[0]["train_loss"]
    told = [metrics for metrics in job.reports.metrics if "train_loss" in metrics]
    assert all("validation_log_loss" in metrics for metrics in told)
    assert job.reports.etas
    assert all(eta >= 0 for eta in job.reports.etas)


def test_the_saved_network_is_that_of_the_best_epoch(job: Job) -> None:
    """Its loss on the validation rows, reckoned from the artifact alone, is the least of the history."""
    from handlers.datasets.target import load_problem
    from handlers.training.rows import training_rows

    request = DeepLearningRequested(dataset_id="d", target_column="target", architecture="cnn_1d")
    path = job.out.directory.parent / "data.parquet"
    problem = load_problem(request, DatasetFile("d", path, "parquet", "ab" * 32))
    train_rows = problem.split().train
    network, table, _ = learned_by(job)
    rows = training_rows(table.transform(problem.X.iloc[train_rows]).astype(np.float32), problem, train_rows)
    with torch.no_grad():
        said = network.deep(network.scaled(torch.as_tensor(rows.X[rows.validation])))
        loss = float(torch.nn.functional.cross_entropy(said, torch.as_tensor(rows.y[rows.validation])))
    losses = [word["validation_loss"] for word in job.history]
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert losses[job.model.plan["best_epoch"] - 1] == min(losses)


def test_pictures_are_drawn_the_learning_curve_among_them(job: Job) -> None:
    assert "learning_curve" in job.model.pictures
    for path in job.model.pictures.values():
        assert (job.out.model / path).stat().st_size > 500


def test_the_artifact_predicts_and_holds_no_pickle(job: Job) -> None:
    import mlflow.pyfunc

    frame = cohort()
    answer = mlflow.pyfunc.load_model(str(job.out.model)).predict(frame.drop(columns="target"))
    assert list(answer.columns) == ["prediction", "probability_healthy", "probability_ill"]
    assert (answer["prediction"] == frame["target"]).mean() > 0.8
    suffixes = {path.suffix for path in job.out.model.rglob("*") if path.is_file()}
    assert not {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin"} & suffixes
    assert sorted(path.name for path in job.out.directory.iterdir()) == ["model"]


def test_the_same_seed_gives_the_same_model_and_another_another(tmp_path: Path, job: Job) -> None:
    asked: dict[str, Any] = {"epochs": 15, "learning_rate": 0.01, "batch_size": 16}
    same = train(cohort(), tmp_path / "same", **asked)
    assert same.model.metrics == job.model.metrics
    assert same.history == job.history
    other = train(cohort(), tmp_path / "other", seed=1, **asked)
    assert other.history != job.history


# --- kinds of tables


def test_a_regression_answers_in_the_targets_unit(tmp_path: Path) -> None:
    job = train(amounts(), tmp_path, architecture="lstm", epochs=10, learning_rate=0.01)
    assert (job.model.problem_type, job.model.primary_metric, job.model.classes) == ("regression", "rmse", None)
    assert set(job.model.metrics) == {"rmse", "mae", "r2", "spearman"}
    assert job.model.metrics["r2"] > 0.5
    # The curve is told in deviations and the score in the target's unit.
    assert job.history[0]["validation_loss"] < 5
    assert job.history[0]["validation_score"] > 5


def test_odd_tables_gaps_categories_dates_groups_and_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = cohort(120, 3, k=3).rename(columns={"gene0": 'größe "µm", [x]<y>'})
    frame["patient"] = np.repeat([f"p{number}" for number in range(40)], 3)
    frame["基因"] = pd.Categorical(rng.choice(["a", "b"], 120))
    frame["day"] = pd.date_range("2020-01-01", periods=120)
    frame["ja"] = rng.random(120) < 0.5
    frame["empty"] = np.nan
    frame["always"] = 7.5
    frame.loc[::7, 'größe "µm", [x]<y>'] = np.nan
    frame.loc[::5, "基因"] = None
    frame.loc[3:5, "gene1"] = np.inf
    frame.loc[[8, 60], "target"] = None
    job = train(frame, tmp_path, architecture="transformer", group_column="patient", epochs=5)
    assert job.model.classes == ["healthy", "ill", "worse"]
    assert job.result.record["n_rows_dropped"] == 2
    assert any("2 rows without a target" in warning for warning in job.model.warnings)
    network, table, about = learned_by(job)
    assert "patient" not in table.columns
    assert {"基因=a", "基因=b", "day", 'größe "µm", [x]<y>'} <= set(table.names)
    assert network.n_features == len(table.names)
    assert about["classes"] == ["healthy", "ill", "worse"]
    import mlflow.pyfunc

    answer = mlflow.pyfunc.load_model(str(job.out.model)).predict(frame)
    assert len(answer) == 120
    assert np.isfinite(answer.filter(like="probability").to_numpy()).all()


def test_rare_classes_weigh_more_where_the_metric_counts_by_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 6))
    rare = X[:, 0] + rng.normal(size=300) > 2.2
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(target=np.where(rare, "rare", "usual"))
    assert 10 < rare.sum() < 40
    asked: dict[str, Any] = {"epochs": 15, "learning_rate": 0.01}
    import mlflow.pyfunc

    said = {}
    for metric in ("log_loss", "balanced_accuracy"):
        job = train(frame, tmp_path / metric, eval_metric=metric, **asked)
        assert job.model.primary_metric == metric
        answer = mlflow.pyfunc.load_model(str(job.out.model)).predict(frame)
        said[metric] = float(answer["probability_rare"].mean())
    # Unweighted, probabilities tell how many there are; weighted, as if both were as many.
    assert said["log_loss"] == pytest.approx(rare.mean(), abs=0.06)
    assert said["balanced_accuracy"] > 2 * said["log_loss"]


@pytest.mark.parametrize(("architecture", "shape"), [("lstm", [1, 12]), ("cnn_1d", [3, 4]), ("cnn_2d", [1, 3, 4])])
def test_series_and_images_are_read_as_such(tmp_path: Path, architecture: str, shape: list[int]) -> None:
    job = train(cohort(40), tmp_path, architecture=architecture, input_shape=shape, epochs=1)
    assert job.model.hyperparameters["shape"] == shape


# --- stopping


def test_it_stops_early_once_nothing_gets_better(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 20))).add_prefix("noise").assign(target=rng.choice(["a", "b"], 60))
    job = train(frame, tmp_path, epochs=100, learning_rate=0.01)
    best, run_ = job.model.plan["best_epoch"], job.model.plan["epochs_run"]
    assert run_ == best + 20 < 100
    assert "stopped_after" not in job.model.plan


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_soft_stop_ends_within_an_epoch_with_a_model(tmp_path: Path, epochs: int) -> None:
    job = train(cohort(), tmp_path, Reports(stop_after=epochs), epochs=1000)
    assert job.model.plan["epochs_run"] == job.model.plan["stopped_after"] == max(1, epochs)
    assert any(f"stopped after epoch {max(1, epochs)}" in warning for warning in job.model.warnings)
    assert job.model.metrics


# --- absurd


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("architecture", "mlp"), ("learning_rate", 0.0), ("learning_rate", float("nan")),
     ("learning_rate", float("inf")), ("batch_size", 0), ("input_shape", [12]), ("input_shape", [0, 12])],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_read(field: str, value: Any) -> None:
    told = {"dataset_id": "d", "target_column": "target", "architecture": "cnn_1d", field: value}
    with pytest.raises(ValidationError) as refused:
        DeepLearningRequested.model_validate(told)
    assert [error["loc"][0] for error in refused.value.errors()] == [field]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_absurd_learning_rate_diverges_and_is_named(tmp_path: Path, architecture: str) -> None:
    told = refusal(cohort(), tmp_path, architecture=architecture, learning_rate=1e6, epochs=10)
    assert told.reason is ReasonCode.DIVERGED
    assert "learning_rate" in told.message
    assert "1e+06" in told.message


def test_it_is_told_in_a_regression_and_in_a_single_epoch_too(tmp_path: Path) -> None:
    assert refusal(amounts(), tmp_path / "values", learning_rate=1e6).reason is ReasonCode.DIVERGED
    assert refusal(cohort(), tmp_path / "once", learning_rate=1e6, epochs=1).reason is ReasonCode.DIVERGED


def test_a_batch_of_a_million_is_one_of_all_rows_and_learns(tmp_path: Path) -> None:
    job = train(cohort(), tmp_path, batch_size=10**6, epochs=30, learning_rate=0.01)
    assert job.model.metrics["accuracy"] > 0.6
    assert job.history[-1]["train_loss"] < job.history[0]["train_loss"]


def test_a_single_step_is_one(tmp_path: Path) -> None:
    """A warm-up from zero would spend the only step there is."""
    job = train(cohort(), tmp_path, batch_size=10**6, epochs=1)
    assert job.history[0]["learning_rate"] > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_single_feature_is_enough(tmp_path: Path, architecture: str) -> None:
    job = train(cohort(40, 1), tmp_path, architecture=architecture, epochs=1)
    assert learned_by(job)[0].n_features == 1


def test_two_features_make_a_plane_and_a_series_may_be_one_long(tmp_path: Path) -> None:
    assert train(cohort(40, 2), tmp_path / "plane", architecture="cnn_2d", epochs=1).model.metrics
    assert train(cohort(40, 1), tmp_path / "series", architecture="rnn", input_shape=[1, 1], epochs=1).model.metrics


def test_twenty_rows_are_enough_and_nineteen_are_not(tmp_path: Path) -> None:
    assert train(cohort(20), tmp_path / "20", epochs=1).model.n_train == 16
    assert refusal(cohort(19), tmp_path / "19").reason is ReasonCode.TOO_FEW_ROWS


def test_a_single_class_and_columns_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    assert refusal(cohort().assign(target="a"), tmp_path / "class").reason is ReasonCode.TARGET_ONE_CLASS
    constant = cohort().assign(**{f"gene{place}": 1.0 for place in range(12)})
    assert refusal(constant, tmp_path / "constant").reason is ReasonCode.NO_FEATURES
    words = pd.DataFrame({"note": [f"seen {row} times" for row in range(80)], "target": cohort()["target"]})
    assert refusal(words, tmp_path / "words", feature_columns=["note"]).reason is ReasonCode.NO_FEATURES


@pytest.mark.parametrize(
    ("architecture", "shape", "message"),
    [
        ("lstm", [1, 3, 4], "input_shape must be [channels, length] here"),
        ("cnn_2d", [3, 4], "input_shape must be [channels, height, width] here"),
        ("lstm", [1, 13], "input_shape [1, 13] has 13 values, the dataset has 12 feature columns"),
        ("cnn_2d", [1, 3, 5], "input_shape [1, 3, 5] has 15 values, the dataset has 12 feature columns"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(tmp_path: Path, architecture: str, shape: Any, message: str) -> None:
    told = refusal(cohort(), tmp_path, architecture=architecture, input_shape=shape)
    assert told.reason is ReasonCode.INVALID_FIELD
    assert message in told.message


def test_a_metric_of_another_problem_is_refused(tmp_path: Path) -> None:
    assert refusal(cohort(), tmp_path, eval_metric="rmse").reason is ReasonCode.INVALID_FIELD


def test_immense_and_tiny_units_are_learned_from_all_the_same(tmp_path: Path) -> None:
    frame = cohort(80, 4)
    frame.loc[7, "gene0"] = 1e300  # beyond what a float32 holds
    frame["gene1"] *= 1e-15  # femtomoles, in moles
    job = train(frame, tmp_path, epochs=3)
    network, _, _ = learned_by(job)
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())
    assert network.weight[:, 1].abs().max() > 0.01
    assert network.scale[1] < 1e-14


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np, pandas as pd
from events.requests import DeepLearningRequested
from handlers.contract import DatasetFile, Inputs, Limits, Outputs
from handlers.deep_learning.handler import run

class Quiet:
    def __call__(self, *told, **more): pass
    def should_stop(self): return False
    def checkpoint(self): pass

folder = Path(sys.argv[1])
out = Outputs(folder / "out", folder / "keep")
for path in (out.directory, out.keep):
    path.mkdir()
inputs = Inputs(DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32), limits=Limits(1))
request = DeepLearningRequested(dataset_id="d", target_column="target", architecture=sys.argv[2], epochs=2)
run(request, inputs, out, Quiet())
# Not getrusage: a new program begins with the peak of whoever started it.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024**2)
"""


@pytest.mark.parametrize("architecture", ["cnn_2d", "lstm", "transformer"])
def test_twenty_thousand_features_of_sixty_rows_take_less_than_two_gigabytes(tmp_path: Path, architecture: str) -> None:
    cohort(60, 20_000).to_parquet(tmp_path / "data.parquet")
    command = [sys.executable, "-c", MEMORY, str(tmp_path), architecture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    gib = float(done.stdout.splitlines()[-1])
    print(f"{architecture}: {gib:.2f} GiB")
    assert gib < 2
