"""Jobs that work on finished models: what they borrow, on which dataset, and what is told of what they make."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.fakes import ScriptedExecutor, ScriptedRun
from support.lives import House, automl, ensemble, explanation

from events.envelope import CloudEvent
from events.explanations import ExplanationFacts
from events.identifiers import explanation_id_of, model_id_of
from events.outcomes import Baseline, DatasetRegistered, JobStatus, ModelFacts
from infra.execution.messages import Failed, Finished, Task
from infra.jobs import claims
from infra.jobs.arbiter import Outcome
from infra.jobs.catalogue import Manifest

BYTES = "0" * 64


class Library(House):
    """A house with a dataset `d` and finished models that have learned from it."""

    def __init__(self, tmp_path: Path, *scripts: list[Any], models: tuple[str, ...] = ("m1", "m2")) -> None:
        super().__init__(tmp_path, *scripts)
        self.register(BYTES)
        for name in models:
            self.keep(name)

    def register(self, sha256: str) -> None:
        about = {"name": "d.csv", "uri": "/d.csv", "format": "csv", "size_bytes": 1, "n_rows": 1, "n_columns": 1}
        dataset = DatasetRegistered.model_validate(
            {
                **about,
                "dataset_id": "d",
                "sha256": sha256,
                "n_missing": 0,
                "columns": [],
                "registered_at": datetime.now(UTC),
            }
        )
        manifest = Manifest(dataset=dataset, event=CloudEvent(source="test", type="t", subject="d", data={}))
        self.store.objects["datasets/d/manifest.json"] = manifest.model_dump_json().encode()

    def keep(self, model_id: str, **more: Any) -> None:
        """A finished model, with one file."""
        config = {"target_column": "outcome", "group_column": "patient", "dataset_id": "d"}
        facts = {
            "model_id": model_id, "model_name": f"AutoML_{model_id}", "dataset_id": "d", "dataset_sha256": BYTES,
            "training_config": config, "artifacts_path": f"models/{model_id}/attempt-1", "files": {"MLmodel": "f" * 64},
        }  # fmt: skip
        self.store.objects[f"models/{model_id}/attempt-1/MLmodel"] = b"a model"
        self.store.objects[f"models/{model_id}/record.json"] = json.dumps(facts | more).encode()

    @property
    def failure(self) -> dict[str, Any]:
        error: dict[str, Any] = self.outcomes.one("ml.job.failed").data["error"]
        return error

    @property
    def used(self) -> list[str]:
        return sorted(key for key in self.store.objects if "/used_by/" in key)


class Explainer(ScriptedExecutor):
    """An executor whose jobs leave a picture."""

    def __init__(self, finished: Finished) -> None:
        super().__init__(*([finished] for _ in range(9)))

    async def submit(self, task: Task) -> ScriptedRun:
        (task.out_dir / "explanation").mkdir()
        (task.out_dir / "explanation/summary_plot.svg").write_text(f"<svg>{len(self.tasks)}</svg>")
        return await super().submit(task)


def explained() -> Finished:
    facts = ExplanationFacts(
        method="shap",
        explainer="interventional TreeSHAP",
        exactness="exact",
        space="probability",
        feature_importance={"CD3D": 0.4},
        visualizations={"summary_plot": "summary_plot.svg"},
        n_samples=3,
    )
    return Finished(summary="Explained 3 samples", explanation=facts.model_dump(mode="json"))


def combined() -> Finished:
    facts = ModelFacts(
        model_type="ensemble",
        problem_type="binary",
        primary_metric="log_loss",
        metrics={"log_loss": 0.3},
        intervals={},
        baseline=Baseline(name="majority", metrics={}, beaten=True),
        architecture="voting",
        hyperparameters={},
        split_id="split-1-x",
        n_train=1,
        n_test=1,
    )
    return Finished(summary="Combined", model=facts.model_dump(mode="json"))


def explaining(tmp_path: Path) -> tuple[Library, Explainer]:
    house = Library(tmp_path)
    explainer = Explainer(explained())
    house.tools = replace(house.tools, executor=explainer)
    return house, explainer


async def test_an_explanation_gets_the_model_and_the_dataset_that_it_learned_from(tmp_path: Path) -> None:
    house, explainer = explaining(tmp_path)
    await house.handle(explanation(model_id="m1"))
    (task,) = explainer.tasks
    assert list(task.inputs.models) == ["m1"]
    assert task.inputs.dataset is not None
    assert task.inputs.dataset.dataset_id == "d"
    told = house.outcomes.one("ml.explanation.completed").data
    explanation_id = explanation_id_of("job-5")
    assert told["artifacts_path"] == f"explanations/{explanation_id}/attempt-1"
    assert (told["explanation_id"], told["model_id"], told["dataset_id"]) == (explanation_id, "m1", "d")
    assert list(told["files"]) == ["summary_plot.svg"]
    assert f"{told['artifacts_path']}/summary_plot.svg" in house.store.objects
    assert house.outcomes.one("ml.job.completed").data["explanation_id"] == explanation_id
    assert house.used == [], "the model is given back"


async def test_a_model_is_explained_once_and_told_again(tmp_path: Path) -> None:
    house, explainer = explaining(tmp_path)
    await house.handle(explanation("first", model_id="m1", num_samples=3))
    await house.handle(explanation("again", 5, model_id="m1", num_samples=3, created_by="somebody else"))
    assert len(explainer.tasks) == 1
    first, again = (event.data for _, event in house.outcomes.events if event.name == "ml.explanation.completed")
    assert again["explanation_id"] == explanation_id_of("again") != first["explanation_id"]
    same = ("artifacts_path", "files", "feature_importance", "asked_sha256")
    assert [again[name] for name in same] == [first[name] for name in same]
    await house.handle(explanation("other", 6, model_id="m1", num_samples=4))
    await house.handle(explanation("other-model", 7, model_id="m2", num_samples=3))
    assert len(explainer.tasks) == 3, "other rows, or another model, are another explanation"


@pytest.mark.parametrize("gone", ["files", "record", "bytes"])
async def test_what_is_gone_is_explained_anew(tmp_path: Path, gone: str) -> None:
    house, explainer = explaining(tmp_path)
    await house.handle(explanation("first", model_id="m1"))
    for key in list(house.store.objects):
        if key.startswith("explanations/") and gone == "files":
            del house.store.objects[key]
        if key.startswith("explanations/") and gone == "bytes":
            house.store.objects[key] = b"garbage"
        if key.startswith("models/m1/explanations/") and gone == "record":
            house.store.objects[key] = b"{"
    await house.handle(explanation("again", 5, model_id="m1"))
    assert len(explainer.tasks) == 2
    await house.handle(explanation("third", 6, model_id="m1"))
    assert len(explainer.tasks) == 2


async def test_an_ensemble_gets_its_members_in_order_and_answers_what_they_answer(tmp_path: Path) -> None:
    house = Library(tmp_path, [combined()])
    await house.handle(ensemble(model_ids=["m2", "m1"]))
    inputs = house.executor.tasks[0].inputs
    assert list(inputs.models) == ["m2", "m1"]
    model = house.outcomes.one("ml.model.completed").data
    assert model["model_name"].startswith("Ensemble_")
    assert (model["target_column"], model["dataset_id"], model["dataset_sha256"]) == ("outcome", "d", BYTES)
    assert model["training_config"]["group_column"] == "patient"
    assert model["training_config"]["model_ids"] == ["m2", "m1"]
    assert house.used == ["models/m1/used_by/job-4.json", "models/m2/used_by/job-4.json"], "it is made of them"


async def test_a_failed_ensemble_uses_nothing(tmp_path: Path) -> None:
    house = Library(tmp_path, [Failed(reason="members_differ", message="they differ")])
    await house.handle(ensemble(model_ids=["m2", "m1"]))
    assert house.failure["reason"] == "members_differ"
    assert house.used == []


async def test_members_that_an_ensemble_does_not_hold_come_along(tmp_path: Path) -> None:
    house, explainer = explaining(tmp_path)
    members = [{"model_id": "m1", "embedded": False}, {"model_id": "m2", "embedded": True}]
    house.keep("big", plan={"kind": "ensemble", "members": members})
    await house.handle(explanation(model_id="big"))
    assert list(explainer.tasks[0].inputs.models) == ["big", "m1"]


async def test_models_may_be_called_by_their_jobs(tmp_path: Path) -> None:
    house, explainer = explaining(tmp_path)
    house.keep(model_id_of("training"))
    await house.handle(explanation(model_id="training"))
    assert list(explainer.tasks[0].inputs.models) == [model_id_of("training")]
    assert explainer.tasks[0].request["model_id"] == model_id_of("training")


async def test_a_job_without_an_end_has_no_model_yet(tmp_path: Path) -> None:
    house = Library(tmp_path)
    training = automl("training")
    await claims.own(house.store, training.identify(), training)
    await house.handle(explanation(model_id="training"))
    assert house.failure["reason"] == "model_unfinished"
    assert "watch training" in house.failure["message"]
    failed = Outcome(job_id="training", status=JobStatus.FAILED, attempt=1, events=[])
    house.store.objects["jobs/training/outcome.json"] = failed.model_dump_json().encode()
    house.outcomes.events.clear()
    await house.handle(explanation("later", 9, model_id="training"))
    assert house.failure["reason"] == "model_unknown"
    assert "failed" in house.failure["message"]


async def test_a_dataset_that_changed_or_vanished_is_refused_by_its_name(tmp_path: Path) -> None:
    house = Library(tmp_path)
    house.register("1" * 64)
    await house.handle(explanation(model_id="m1"))
    assert house.failure["reason"] == "dataset_changed"
    assert "dataset d" in house.failure["message"]
    del house.store.objects["datasets/d/manifest.json"]
    house.outcomes.events.clear()
    await house.handle(ensemble(model_ids=["m1", "m2"]))
    assert house.failure["reason"] == "dataset_unknown"
    assert "AutoML_m1" in house.failure["message"]
    assert house.executor.tasks == []


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"model_id": "nobody"}, "model_unknown"),
        ({"model_id": "../m1"}, "invalid_field"),
        ({"model_id": "m1", "num_samples": 0}, "out_of_range"),
        ({"model_id": "m1", "num_samples": 10**9}, "out_of_range"),
        ({"model_id": "m1", "sample_indices": [-1]}, "out_of_range"),
        ({"model_id": "m1", "sample_indices": []}, "out_of_range"),
        ({"model_id": "m1", "method": "guess"}, "invalid_field"),
    ],
)
async def test_explanations_that_cannot_be(tmp_path: Path, asked: dict[str, Any], reason: str) -> None:
    house = Library(tmp_path)
    await house.handle(explanation(**asked))
    assert house.failure["reason"] == reason
    assert list(asked)[-1] in house.failure["message"] or str(asked["model_id"]) in house.failure["message"]


@pytest.mark.parametrize(
    ("asked", "reason", "named"),
    [
        ({"model_ids": ["m1"]}, "out_of_range", "model_ids"),
        ({"model_ids": ["m1", "nobody"]}, "model_unknown", "nobody"),
        ({"model_ids": ["m1", "m2"], "weights": [1, 0]}, "out_of_range", "weights"),
        ({"model_ids": ["m1", "m2"], "weights": [1, -2]}, "out_of_range", "weights"),
        ({"model_ids": ["m1", "m2"], "method": "guess"}, "invalid_field", "method"),
    ],
)
async def test_ensembles_that_cannot_be(tmp_path: Path, asked: dict[str, Any], reason: str, named: str) -> None:
    house = Library(tmp_path)
    await house.handle(ensemble(**asked))
    assert house.failure["reason"] == reason
    assert named in house.failure["message"]
