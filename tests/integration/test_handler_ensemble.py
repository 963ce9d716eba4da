"""Ensembles from finished models to one: what is told, what is packed, and which rows were seen."""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from events.errors import ReasonCode
from events.requests import AutomlRequested, DeepLearningRequested, EnsembleRequested, TransferLearningRequested
from handlers.automl import portfolio
from handlers.contract import DatasetFile, Inputs, JobRefused, Limits, ModelFiles, Outputs
from handlers.datasets.target import load_problem
from handlers.ensemble import artifact, asking, handler, learning, refits, training_again
from handlers.metrics import score
from handlers.mlflow_models import predict
from handlers.splits import Split

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODULES = {"automl": "automl", "deep_learning": "deep_learning", "transfer_learning": "transfer_learning"}


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> Iterator[None]:
    # As in a job's process, where they are imported before any job.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("mlflow.pyfunc", "autogluon.tabular"):
            importlib.import_module(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three models, each of which sees one cause."""
    place = Place(tmp_path_factory.mktemp("classes"), cohort(400))
    for name, columns in BLOCKS.items():
        place.network(name, feature_columns=columns)
    return place


# --- what is told


def test_members_that_complement_each_other_gain(classes: Place) -> None:
    for method in ("voting", "stacking", "blending"):
        found = classes.combine(*BLOCKS, method=method)
        gain = found.plan["gain"]
        print(f"{method}: {found.result.summary}")
        best = next(told for told in found.plan["members"] if told["model_id"] == found.plan["best_member"])
        assert found.model.metrics["accuracy"] > best["metrics"]["accuracy"] + 0.05
        # A mean of answers that are not sure is not sure: a meta-learner alone makes more of them.
        assert method != "stacking" or gain["low"] > 0
        assert best["metrics"]["log_loss"] - found.model.metrics["log_loss"] == pytest.approx(gain["value"])
        assert "against its best member, Model_" in found.result.summary


def test_the_facts_are_whole_and_come_again(classes: Place) -> None:
    reports = Reports()
    found = classes.combine(*BLOCKS, method="blending", reports=reports)
    model, plan = found.model, found.plan
    parts = classes.split()
    assert (model.model_type, model.problem_type, model.primary_metric) == ("ensemble", "binary", "log_loss")
    assert (model.n_train, model.n_combination, model.n_test) == tuple(
        len(rows) for rows in (parts.train, parts.combination, parts.test)
    )
    assert model.split_id == parts.split_id
    assert model.classes == ["ill", "well"]
    assert set(model.intervals) == set(model.metrics)
    assert sum(plan["weights"].values()) == pytest.approx(1)
    assert [told["name"] for told in plan["members"]] == ["Model_a", "Model_b", "Model_c"]
    for told in plan["members"]:
        assert told["metrics"] == pytest.approx(classes.models[told["model_id"]].facts["metrics"], rel=1e-5)
        low, high = told["intervals"]["log_loss"]
        assert low <= told["metrics"]["log_loss"] <= high
    scores = [row["validation_score"] for row in model.leaderboard]
    assert scores == sorted(scores)
    assert {row["name"] for row in model.leaderboard} == {"Model_a", "Model_b", "Model_c", "This ensemble"}
    assert model.validation_score in scores
    assert np.array(plan["error_correlation"]).shape == (3, 3)
    assert plan["problem"] == {"target_column": "target", "group_column": None, "problem_type": "classification"}
    percents = [percent for percent, _ in reports.told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert "Asking Model_b (2 of 3)" in [message for _, message in reports.told]
    again = classes.combine(*BLOCKS, method="blending")
    assert (again.model.metrics, again.plan, again.result.summary) == (model.metrics, plan, found.result.summary)


def test_weights_are_those_that_were_asked_for(classes: Place) -> None:
    found = classes.combine("a", "b", weights=[3.0, 1.0])
    assert found.plan["weights"] == {"a": 0.75, "b": 0.25}
    assert found.combination["weights"] == [0.75, 0.25]
    hard = classes.combine(*BLOCKS, voting="hard")
    assert hard.model.architecture.startswith("hard voting of 3 models")


def test_a_copy_among_the_members_is_told(classes: Place) -> None:
    twin = replace(classes.models["a"], facts={**classes.models["a"].facts, "model_id": "twin", "model_name": "Twin"})
    place = replace(classes, models={**classes.models, "twin": replace(twin, model_id="twin")})
    found = place.combine("a", "twin")
    assert any("Model_a and Twin make the same errors" in warning for warning in found.model.warnings)
    assert any("not better than its best member" in warning for warning in found.model.warnings)


# --- what is packed

ELSEWHERE = """
import json, sys
for name in "handlers events infra schemas sklearn pytorch_lightning".split():
    sys.modules[name] = None
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
table = pd.read_parquet(sys.argv[2])
answer = model.predict(table.sample(frac=1, axis="columns", random_state=0).assign(more=1)).iloc[:, 1:]
try:
    model.predict(table.drop(columns=["größe 3"]))
except ValueError as error:
    refused = str(error)
print(json.dumps({"columns": list(answer), "said": answer.to_numpy().tolist(), "refused": refused,
                  "alone": model.predict(table.iloc[[5]]).iloc[0, 1:].tolist(), "none": len(model.predict(table[:0]))}))
"""


def test_the_artifact_predicts_by_itself_after_it_was_copied(classes: Place, tmp_path: Path) -> None:
    found = classes.combine(*BLOCKS, method="stacking")
    problem = load_problem(AutomlRequested(dataset_id="cohort", target_column="target"), classes.dataset)
    expected = predict(found.out.model, problem.X, problem.y, problem).probabilities
    shutil.copytree(found.out.model, tmp_path / "elsewhere")
    shutil.rmtree(found.out.model)
    problem.X.to_parquet(tmp_path / "table.parquet")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMNISCOPE"))}
    words = [sys.executable, "-P", "-c", ELSEWHERE, str(tmp_path / "elsewhere"), str(tmp_path / "table.parquet")]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, timeout=200, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert expected is not None
    np.testing.assert_allclose(told["said"], expected, rtol=1e-5)
    np.testing.assert_allclose(told["alone"], expected[5], rtol=1e-5)
    assert told["columns"] == ["probability_ill", "probability_well"]
    assert "lacks 1 of the model's 6 columns: 'größe 3'" in told["refused"]
    assert told["none"] == 0
    assert not list((tmp_path / "elsewhere" / "artifacts").rglob("__pycache__"))


def test_large_members_stay_where_they_are_and_are_known_by_their_hash(
    classes: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "_MOST_BYTES", 1000)
    found = classes.combine("a", "b")
    assert not (found.out.model / "artifacts" / "members").exists()
    assert [member["folder"] for member in found.combination["members"]] == [None, None]
    assert not any(member["embedded"] for member in found.plan["members"])
    problem = load_problem(AutomlRequested(dataset_id="cohort", target_column="target"), classes.dataset)
    with pytest.raises(FileNotFoundError, match="OMNISCOPE_MODELS"):
        predict(found.out.model, problem.X, problem.y, problem)
    store = tmp_path / "models"
    for name in ("a", "b"):
        shutil.copytree(classes.models[name].path, store / name / "attempt-1")
    shutil.copytree(found.out.model, store / "ensemble" / "attempt-1")
    said = predict(store / "ensemble" / "attempt-1", problem.X, problem.y, problem)
    monkeypatch.setenv("OMNISCOPE_MODELS", str(store))
    there = predict(found.out.model, problem.X, problem.y, problem)
    np.testing.assert_array_equal(said.probabilities, there.probabilities)
    weights = store / "b" / "attempt-1" / "artifacts" / "network" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(ValueError, match="is not as it was when it was combined"):
        predict(found.out.model, problem.X, problem.y, problem)


def test_an_ensemble_of_an_ensemble(classes: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first = classes.combine("a", "b", as_name="first")
    found = classes.combine("first", "c", weights=[2.0, 1.0])
    flat = classes.combine(*BLOCKS)
    assert found.model.metrics == pytest.approx(flat.model.metrics, rel=1e-6)
    assert found.model.split_id == first.model.split_id
    monkeypatch.setattr(artifact, "_MOST_BYTES", 1000)
    classes.combine("a", "b", as_name="outside")
    nested = classes.combine("outside", "c", weights=[2.0, 1.0])
    assert nested.model.metrics == pytest.approx(flat.model.metrics, rel=1e-6)


def test_a_row_in_a_member_throws_the_ensemble_away(classes: Place, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    shutil.copytree(classes.models["a"].path, spoilt)
    classes.frame.iloc[:20].drop(columns="target").to_csv(spoilt / "artifacts" / "rows.csv", index=False)
    facts = {**classes.models["a"].facts, "files": hashes(spoilt), "model_id": "spoilt"}
    place = replace(classes, models={**classes.models, "spoilt": ModelFiles("spoilt", spoilt, facts)})
    with pytest.raises(JobRefused) as refusal:
        place.combine("spoilt", "b")
    assert refusal.value.reason is ReasonCode.ROW_IN_ARTIFACT
    assert "rows.csv" in refusal.value.message


def test_a_dataset_with_other_rows_under_the_same_hash(classes: Place) -> None:
    place = Place(classes.folder / "other", cohort(400).iloc[:-1], classes.models)
    with pytest.raises(JobRefused) as refusal:
        place.combine("a", "b")
    assert refusal.value.reason is ReasonCode.DATASET_CHANGED


# --- which rows are seen


@dataclass
class Seen:
    """The rows, by the values that know them, that fits and questions have seen."""

    fits: list[set[float]] = field(default_factory=list)
    practice: list[float] = field(default_factory=list)
    asked: set[float] = field(default_factory=set)
    scored: list[float] = field(default_factory=list)

    def check(self, place: Place) -> None:
        """Fails where a row that a member was trained on is among those that combine or test."""
        target = place.frame["target"].to_numpy()
        parts = place.split()
        train, combination, test = (set(target[rows]) for rows in (parts.train, parts.combination, parts.test))
        trained = set.union(*self.fits)
        assert trained == train, "members were trained on other rows than the training rows"
        assert not trained & set(self.practice), "the combination has learned from a member's training rows"
        assert not trained & set(self.scored), "a member's training rows are scored"
        assert sorted(self.practice) == sorted(combination)
        assert sorted(self.scored) == sorted(test)
        assert self.asked == combination | test, "members were asked about rows that are none of the ensemble's"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watches every fit of a member, every question to one, what the combination learns from, and what is scored."""
    from autogluon.tabular import TabularPredictor

    from handlers.deep_learning import handler as deep_learning

    found = Seen()
    fit, train, blend, ask, evaluate = (
        TabularPredictor.fit, deep_learning.fit, learning._LEARNED["blending"], asking.predict, handler.evaluate,
    )  # fmt: skip

    def spy_on_automl(self: Any, train_data: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        assert kwargs.get("tuning_data") is None
        found.fits.append(set(train_data["target"]))
        return fit(self, train_data, *args, **kwargs)

    def spy_on_network(network: Any, rows: Any, *args: Any, **kwargs: Any) -> Any:
        found.fits.append(set(rows.y))
        return train(network, rows, *args, **kwargs)

    def spy_on_learning(practice: Any, seed: int) -> Any:
        found.practice = [*found.practice, *(value for value in practice.y if value not in found.practice)]
        return blend(practice, seed)

    def spy_on_questions(path: Path, X: pd.DataFrame, y: Any, problem: Any) -> Any:
        found.asked |= set(y)
        assert list(problem.y[X.index]) == list(y)
        return ask(path, X, y, problem)

    def spy_on_scores(said: Any, *args: Any, **kwargs: Any) -> Any:
        found.scored = list(said.y)
        return evaluate(said, *args, **kwargs)

    monkeypatch.setattr(TabularPredictor, "fit", spy_on_automl)
    monkeypatch.setattr(deep_learning, "fit", spy_on_network)
    monkeypatch.setitem(learning._LEARNED, "blending", spy_on_learning)
    monkeypatch.setattr(asking, "predict", spy_on_questions)
    monkeypatch.setattr(handler, "evaluate", spy_on_scores)
    return found


def test_no_training_row_of_a_member_combines_or_tests(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, amounts(240))
    place.network("net")
    place.linear("lin", monkeypatch)
    found = place.combine("net", "lin", method="blending")
    seen.check(place)
    assert found.model.problem_type == "regression"
    assert found.model.metrics["r2"] > 0.5
    said = predict(found.out.model, place.frame, place.frame["target"], problem_in(place))
    test = place.split().test
    assert score(replace(said, y=said.y.to_numpy()[test], predicted=said.predicted[test])) == pytest.approx(
        found.model.metrics
    )


def problem_in(place: Place) -> Any:
    return load_problem(AutomlRequested(dataset_id="cohort", target_column="target"), place.dataset)


@pytest.mark.parametrize("into", ["combination", "test"])
def test_the_watch_notices_a_leak(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, into: str) -> None:
    """Training rows are put where they must not be, and the test above has to fail."""
    place = Place(tmp_path, amounts(240))
    place.network("net")
    place.network("other", feature_columns=["größe 0", "größe 1"], seed=1)
    common_ground = handler.common_ground

    def leaky(*args: Any) -> Any:
        prepared = common_ground(*args)
        parts = prepared.parts
        more = np.sort(np.concatenate([getattr(parts, into), parts.train[:5]]))
        return replace(prepared, parts=replace(parts, **{into: more}))

    monkeypatch.setattr(handler, "common_ground", leaky)
    place.combine("net", "other", method="blending")
    with pytest.raises(AssertionError, match=r"training rows"):
        seen.check(place)


# --- few rows: members are trained again on folds


@dataclass
class Folds:
    """For each refit the rows that it learned from and those that it was asked about, by the target's value."""

    of: dict[str, list[tuple[set[float], set[float]]]] = field(default_factory=dict)


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> Folds:
    found = Folds()

    def watched(again: Any) -> Any:
        def spy(leaf: Any, prepared: Any, *args: Any) -> Any:
            y, parts = prepared.problem.y, prepared.parts
            found.of.setdefault(leaf.model_id, []).append((set(y[parts.train]), set(y[parts.test])))
            return again(leaf, prepared, *args)

        return spy

    for kind, again in training_again.AGAIN.items():
        monkeypatch.setitem(training_again.AGAIN, kind, watched(again))
    return found


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("few"), amounts(90))
    with pytest.MonkeyPatch.context() as patched:
        place.linear("lin", patched, feature_columns=["größe 0", "größe 1", "größe 2"])
    place.network("net", feature_columns=["größe 3", "größe 4", "größe 5"])
    return place


def test_refits_are_asked_about_rows_that_they_have_not_seen(few: Place, folds: Folds) -> None:
    from autogluon.tabular import TabularPredictor

    learned_from: list[set[float]] = []
    fit = TabularPredictor.fit

    def spy(self: Any, train_data: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        learned_from.append(set(train_data["target"]))
        return fit(self, train_data, *args, **kwargs)

    reports = Reports()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TabularPredictor, "fit", spy)
        found = few.combine("lin", "net", method="stacking", reports=reports)
    target, parts = few.frame["target"].to_numpy(), few.split()
    train, test = set(target[parts.train]), set(target[parts.test])
    assert not len(parts.combination)
    assert set(folds.of) == {"lin", "net"}
    assert learned_from == [fitted for fitted, _ in folds.of["lin"]]
    for seen in folds.of.values():
        assert len(seen) == 5
        for fitted, held in seen:
            assert not fitted & held
            assert not fitted & test
            assert fitted | held == train
        assert set.union(*(held for _, held in seen)) == train
    assert found.plan["refits"]["finished"] == 5
    assert found.plan["refits"]["rows"] == len(train)
    assert all(told["combination_score"] is not None for told in found.plan["members"])
    assert found.plan["gain"]["low"] > 0
    assert found.combination["meta"]["kind"] == "ridge"
    assert "Training Model_net again (2 of 10)" in " ".join(message for _, message in reports.told)


def test_voting_on_few_rows_learns_nothing_and_trains_nothing(few: Place, folds: Folds) -> None:
    found = few.combine("lin", "net")
    assert not folds.of
    assert "refits" not in found.plan
    assert found.model.validation_score is None
    validation = {name: few.models[name].facts["validation_score"] for name in ("lin", "net")}
    assert found.plan["best_member"] == min(validation, key=lambda name: validation[name])


def test_without_time_for_one_fold_weights_are_equal_and_that_is_told(few: Place) -> None:
    found = few.combine("lin", "net", method="blending", limits=Limits(1, seconds=0.001))
    assert found.plan["refits"]["finished"] == 0
    assert found.plan["weights"] == {"lin": 0.5, "net": 0.5}
    assert found.plan["method"] == "voting"
    assert found.model.hyperparameters["asked"] == "blending"
    assert any("equal weights" in warning for warning in found.model.warnings)


def test_what_an_attempt_before_has_done_is_not_done_again(few: Place, folds: Folds) -> None:
    few.combine("lin", "net", method="blending", as_name="again")
    done = few.models.pop("again")
    shutil.rmtree(done.path.parent)
    before = {name: len(seen) for name, seen in folds.of.items()}
    few.combine("lin", "net", method="blending", as_name="again")
    assert {name: len(seen) for name, seen in folds.of.items()} == before
    assert few.models.pop("again").facts["metrics"] == done.facts["metrics"]


def test_an_ensembles_members_are_trained_again_and_combined_as_they_were(few: Place, folds: Folds) -> None:
    few.combine("lin", "net", weights=[1.0, 3.0], as_name="both")
    few.network("third", feature_columns=["größe 0", "größe 1"], seed=3)
    found = few.combine("both", "third", method="blending")
    assert set(folds.of) == {"lin", "net", "third"}
    assert found.plan["refits"]["finished"] == 5


def test_a_member_whose_base_is_not_here_cannot_be_trained_again(few: Place) -> None:
    base = Place(few.folder / "base", amounts(60).assign(target=lambda frame: frame["target"] + 1))
    base.network("encoder")
    encoder = replace(base.models["encoder"], facts={**base.models["encoder"].facts, "dataset_sha256": "cd" * 32})
    few.models["encoder"] = encoder
    told = {"dataset_id": "cohort", "target_column": "target", "base_model": "job:encoder", "epochs": 1}
    run = importlib.import_module("handlers.transfer_learning.handler").run
    few.train("tuned", TransferLearningRequested.model_validate(told | {"fine_tune_layers": 1}), run)
    assert few.combine("lin", "tuned", method="blending").plan["refits"]["finished"] == 5
    del few.models["encoder"]
    with pytest.raises(JobRefused) as refusal:
        few.combine("lin", "tuned", method="blending")
    assert refusal.value.reason is ReasonCode.MODEL_UNSUITABLE
    assert "member «Model_tuned» cannot be: the model that it was fine-tuned from is not here" in refusal.value.message
    assert few.combine("lin", "tuned").model.n_combination == 0


def test_the_folder_that_is_named_is_the_one_that_is_looked_into() -> None:
    from handlers import served

    assert served._MODELS == asking.MODELS
    assert refits._MOST_S <= 600
