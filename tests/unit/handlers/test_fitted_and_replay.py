"""A plan as data, and what a replay makes of it. Nothing is trained here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.automl.fitted import VERSION, plain
from handlers.automl.replay import check_plan, check_request, differences, hyperparameters, other_packages
from handlers.contract import DatasetFile, JobRefused
from handlers.provenance import packages

DATASET = DatasetFile("d", Path("/nowhere"), "parquet", "ab" * 32)


def model(name: str, family: str = "GBM", trained: Any = None, **settings: Any) -> dict[str, Any]:
    return {"name": name, "family": family, "hyperparameters": settings, "trained": trained or {}}


def plan(*models: dict[str, Any], **weights: float) -> dict[str, Any]:
    return {"version": VERSION, "quality": "medium", "seed": 0, "options": {}, "models": [*models], "weights": weights}


# --- a plan as JSON


def test_what_json_knows_stays_and_numpy_becomes_pythons() -> None:
    settings = {
        "iterations": np.int64(7),
        "rate": np.float32(0.5),
        "on": np.bool_(True),
        "layers": (64, np.int32(32)),
        "inner": {1: [None, "gbtree", 0.1]},
    }
    told = plain(settings)
    assert told == {
        "iterations": 7,
        "rate": 0.5,
        "on": True,
        "layers": [64, 32],
        "inner": {"1": [None, "gbtree", 0.1]},
    }
    assert [type(told[name]) for name in ("iterations", "rate", "on")] == [int, float, bool]
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("value", [object(), {"a": [print]}, {1, 2}, b"bytes"])
def test_what_a_plan_cannot_repeat_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="a plan cannot hold"):
        plain(value)


# --- the settings of a replay


def test_models_keep_their_names_and_their_order_across_families() -> None:
    recorded = plan(model("LinearModel", "LR", C=1.0), model("LightGBM"), model("XGBoost", "XGB"), model("LightGBM_2"))
    chosen = hyperparameters(recorded)
    told = [(entry["ag_args"]["priority"], entry["ag_args"]["name"]) for some in chosen.values() for entry in some]
    assert [name for _, name in sorted(told, reverse=True)] == ["LinearModel", "LightGBM", "XGBoost", "LightGBM_2"]
    assert len({priority for priority, _ in told}) == 4, "equal priorities leave the order to AutoGluon"
    assert {family: len(some) for family, some in chosen.items()} == {"LR": 1, "GBM": 2, "XGB": 1}
    assert chosen["LR"][0]["C"] == 1.0


def test_a_model_that_was_fitted_once_is_trained_as_far_again() -> None:
    recorded = plan(
        model("CatBoost", "CAT", {"iterations": 31}, iterations=500, random_seed=3),
        model("NeuralNetTorch", "NN_TORCH", {"batch_size": 32, "num_epochs": 4}, num_epochs=1000),
    )
    chosen = hyperparameters(recorded)
    assert chosen["CAT"][0] | {"ag_args": {}} == {"iterations": 31, "random_seed": 3, "ag_args": {}}
    assert (chosen["NN_TORCH"][0]["num_epochs"], chosen["NN_TORCH"][0]["batch_size"]) == (4, 32)


def test_folds_keep_their_common_settings_and_a_forest_its_trees() -> None:
    folds = {"S1F1": {"num_boost_round": 12}, "S1F2": {"num_boost_round": 90}}
    recorded = plan(
        model("LightGBM", trained=folds, num_boost_round=10_000),
        model("ExtraTrees", "XT", {"S1F1": {"n_estimators": 40}}, n_estimators=300),
        model("LinearModel", "LR", {"S1F1": {}, "S1F2": {}}, max_iter=199),
    )
    chosen = hyperparameters(recorded)
    assert chosen["GBM"][0]["num_boost_round"] == 10_000, "each fold has its own, told when it is trained"
    assert chosen["XT"][0]["n_estimators"] == 40
    assert chosen["LR"][0]["max_iter"] == 199


def test_the_record_itself_stays_as_it_is() -> None:
    recorded = plan(model("CatBoost", "CAT", {"iterations": 31}, iterations=500, nested={"a": [1]}))
    before = json.dumps(recorded)
    hyperparameters(recorded)["CAT"][0]["nested"]["a"].append(2)
    assert json.dumps(recorded) == before


# --- what cannot be replayed


@pytest.mark.parametrize(
    "recorded", [{}, plan(), plan(model("LightGBM")) | {"version": VERSION + 1}, {"models": [model("LightGBM")]}]
)
def test_a_plan_that_is_missing_or_of_another_version_is_told_of(recorded: dict[str, Any]) -> None:
    with pytest.raises(JobRefused, match="model m-1 has no recorded plan") as refused:
        check_plan(recorded, "m-1")
    assert refused.value.reason is ReasonCode.PLAN_MISSING
    assert "new job_id" in refused.value.message


def test_a_whole_plan_passes() -> None:
    check_plan(plan(model("LightGBM")), "m-1")


ASKED = {
    "dataset_id": "d",
    "target_column": "outcome",
    "feature_columns": ["a", "b", "größe"],
    "exclude_columns": ["b"],
    "group_column": "patient",
    "problem_type": "classification",
    "eval_metric": "auroc",
    "seed": 3,
}


def told_of(**changed: Any) -> dict[str, Any]:
    config = AutomlRequested.model_validate(ASKED).model_dump(mode="json")
    return {"dataset_id": "d", "dataset_sha256": DATASET.sha256, "training_config": config, **changed}


def test_the_same_request_passes_whatever_decides_nothing() -> None:
    asked = {**ASKED, "rerun_of": "m-1", "time_limit": 5, "name": "again", "created_by": "ada"}
    check_request(AutomlRequested.model_validate(asked), told_of(), DATASET)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_column", "other"),
        ("feature_columns", ["a", "b"]),
        ("exclude_columns", []),
        ("group_column", None),
        ("problem_type", "regression"),
        ("eval_metric", None),
        ("seed", 4),
        ("quality", "best"),
        ("hyperparameter_tuning", True),
    ],
)
def test_each_word_that_decides_a_number_must_be_the_same(name: str, value: Any) -> None:
    with pytest.raises(JobRefused, match=f"^{name} is not what the model") as refused:
        check_request(AutomlRequested.model_validate({**ASKED, name: value}), told_of(), DATASET)
    assert refused.value.reason is ReasonCode.INVALID_FIELD


def test_another_dataset_is_told_by_its_id() -> None:
    with pytest.raises(JobRefused, match="another dataset: send dataset_id cohort-1") as refused:
        check_request(
            AutomlRequested.model_validate(ASKED),
            told_of(dataset_sha256="cd" * 32, dataset_id="cohort-1"),
            DATASET,
        )
    assert refused.value.reason is ReasonCode.INVALID_FIELD


# --- what came of a replay


def test_the_same_models_and_weights_are_no_difference() -> None:
    one = plan(model("A"), model("B"), A=0.75, B=0.25)
    assert differences(one, plan(model("B"), model("A"), B=0.25 + 1e-12, A=0.75)) == []


def test_models_that_are_missing_are_named() -> None:
    (told,) = differences(plan(model("A"), model("B"), model("C"), A=1.0), plan(model("B"), B=1.0))
    assert told == "The replay could not train A, C again"


@pytest.mark.parametrize("weights", [{"A": 0.74, "B": 0.26}, {"A": 1.0}, {}])
def test_other_weights_are_told_of(weights: dict[str, float]) -> None:
    models = (model("A"), model("B"))
    (told,) = differences(plan(*models, A=0.75, B=0.25), plan(*models, **weights))
    assert "weighs its models differently" in told


def test_package_versions_are_compared_by_name() -> None:
    now = packages()
    assert other_packages({"environment": {"packages": now}}) == []
    assert other_packages({"environment": {}}) == []
    (told,) = other_packages({"environment": {"packages": {**now, "numpy": "1.0", "gone": "2.0"}}})
    assert told.endswith(f"numpy 1.0 → {now['numpy']}, gone 2.0 → none")
