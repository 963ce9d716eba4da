"""What cannot be combined is refused in a sentence that says which member differs, and how."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from events.errors import ReasonCode
from events.requests import EnsembleRequested
from handlers.contract import DatasetFile, Inputs, JobRefused, ModelFiles
from handlers.ensemble.checks import chosen_members

SHA = "ab" * 32


def model(folder: Path, name: str, about: dict[str, Any] | None = None, **facts: Any) -> ModelFiles:
    path = folder / name
    told = {"features": ["x"], "target_column": "outcome", "problem_type": "binary", "classes": ["ill", "well"]}
    (path / "artifacts" / "predictor").mkdir(parents=True)
    (path / "MLmodel").touch()
    (path / "artifacts" / "about.json").write_text(json.dumps(told | (about or {})))
    usual = {
        "model_id": name,
        "model_name": f"AutoML_{name}",
        "model_type": "automl",
        "dataset_id": "cohort",
        "dataset_sha256": SHA,
        "problem_type": "binary",
        "split_id": "split-1-a",
        "training_config": {},
    }
    return ModelFiles(name, path, usual | facts)


def refused(folder: Path, *models: ModelFiles, sha256: str = SHA, **asked: Any) -> JobRefused:
    with pytest.raises(JobRefused) as refusal:
        chosen(folder, *models, sha256=sha256, **asked)
    return refusal.value


def chosen(folder: Path, *models: ModelFiles, sha256: str = SHA, **asked: Any) -> list[Any]:
    told = {"model_ids": [files.model_id for files in models], "method": "voting", **asked}
    inputs = Inputs(DatasetFile("cohort", folder, "csv", sha256), models={files.model_id: files for files in models})
    return chosen_members(EnsembleRequested.model_validate(told), inputs)


def test_members_come_in_the_order_of_the_request(tmp_path: Path) -> None:
    models = [model(tmp_path, name) for name in "cab"]
    assert [member.model_id for member in chosen(tmp_path, *models)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("about", "facts", "words"),
    [
        ({"target_column": "stage"}, {}, "member AutoML_b (b) predicts «stage», member AutoML_a (a) «outcome»"),
        ({}, {"dataset_id": "other"}, "learned from the dataset «other», member AutoML_a (a) «cohort»"),
        ({}, {"dataset_sha256": "cd" * 32}, "choose models of the same file"),
        ({}, {"problem_type": "regression"}, "solves a regression problem, member AutoML_a (a) a binary one"),
        ({"classes": ["ill", "well", "SECRET"]}, {}, "tells 3 classes apart, member AutoML_a (a) 2"),
        (
            {},
            {"split_id": "split-1-b", "training_config": {"group_column": "patient"}},
            "keeps the groups of «patient» whole, member AutoML_a (a) no groups",
        ),
        ({}, {"split_id": "split-1-b"}, "was trained on other rows (split split-1-b)"),
    ],
)
def test_the_member_that_differs_is_named(
    tmp_path: Path, about: dict[str, Any], facts: dict[str, Any], words: str
) -> None:
    refusal = refused(tmp_path, model(tmp_path, "a"), model(tmp_path, "b", about, **facts))
    assert refusal.reason is ReasonCode.MEMBERS_DIFFER
    assert words in refusal.message
    assert "SECRET" not in refusal.message
    assert ": " in refusal.message, "what to do about it"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"model_ids": ["a", "b", "a"]}, "model_ids names «a» more than once: send each model once"),
        ({"weights": [1.0]}, "weights has 1 numbers for 2 models: send one for each of model_ids"),
        ({"method": "stacking", "weights": [1.0, 2.0]}, "weights are for voting; stacking finds its own"),
        ({"method": "blending", "voting": "hard"}, "voting is hard, which is for the method voting: leave it out"),
    ],
)
def test_words_that_contradict_each_other(tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    refusal = refused(tmp_path, model(tmp_path, "a"), model(tmp_path, "b"), **asked)
    assert refusal.reason is ReasonCode.INVALID_FIELD
    assert words in refusal.message


def test_two_names_of_one_model_are_one_model(tmp_path: Path) -> None:
    one = model(tmp_path, "a")
    again = ModelFiles("job-of-a", one.path, one.facts)
    assert "more than once" in refused(tmp_path, one, again).message


@pytest.mark.parametrize("weights", [[0.0, 1.0], [-1.0, 1.0], [float("nan"), 1.0], [float("inf"), 1.0], ["1", 1.0]])
def test_weights_that_are_none_never_arrive(weights: list[Any]) -> None:
    with pytest.raises(ValidationError):
        EnsembleRequested.model_validate({"model_ids": ["a", "b"], "method": "voting", "weights": weights})


def test_numbers_have_no_majority(tmp_path: Path) -> None:
    models = [model(tmp_path, name, {"classes": None}, problem_type="regression") for name in "ab"]
    refusal = refused(tmp_path, *models, voting="hard")
    assert (refusal.reason, "send soft" in refusal.message) == (ReasonCode.INVALID_FIELD, True)


def test_a_model_that_is_not_here(tmp_path: Path) -> None:
    refusal = refused(tmp_path, model(tmp_path, "a"), model_ids=["a", "lost"])
    assert (refusal.reason, "«lost»" in refusal.message) == (ReasonCode.MODEL_UNKNOWN, True)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    strange = model(tmp_path, "b")
    (strange.path / "artifacts" / "about.json").unlink()
    refusal = refused(tmp_path, model(tmp_path, "a"), strange)
    assert refusal.reason is ReasonCode.MODEL_UNSUITABLE
    assert "model b does not tell its columns" in refusal.message


def test_a_model_of_another_kind_is_no_member_whatever_its_facts_tell(tmp_path: Path) -> None:
    strange = model(tmp_path, "b", features=["x"], classes=["ill", "well"], target_column="outcome")
    (strange.path / "artifacts" / "predictor").rmdir()
    assert refused(tmp_path, model(tmp_path, "a"), strange).reason is ReasonCode.MODEL_UNSUITABLE


def test_a_dataset_that_has_changed(tmp_path: Path) -> None:
    refusal = refused(tmp_path, model(tmp_path, "a"), model(tmp_path, "b"), sha256="cd" * 32)
    assert refusal.reason is ReasonCode.DATASET_CHANGED
    assert "the dataset «cohort»" in refusal.message
