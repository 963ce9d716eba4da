"""A cleaned predictor predicts as before and holds no trace of the ranges that LightGBM keeps."""

import importlib
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from handlers.automl.cleaning import clean_clone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    table = load_breast_cancer(as_frame=True).frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tabular = importlib.import_module("autogluon.tabular")
        found = tabular.TabularPredictor("target", path=str(tmp_path_factory.mktemp("p") / "p"), verbosity=0)
        options = {"num_cpus": 1, "num_bag_folds": 2, "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"}}
        return found.fit(table, hyperparameters={"GBM": [{"num_boost_round": 20}]}, dynamic_stacking=False, **options)


def boosters(predictor: Any) -> list[Any]:
    trainer = predictor._trainer
    bagged = [trainer.load_model(name) for name in predictor.model_names() if name.startswith("LightGBM")]
    return [model.load_child(child).model for model in bagged for child in model.models]


def test_ranges_are_gone_and_predictions_are_the_same(predictor: Any, tmp_path: Path) -> None:
    table = load_breast_cancer(as_frame=True).frame
    before = predictor.predict_proba(table).to_numpy()
    cleaned = clean_clone(predictor, tmp_path / "clean")
    assert np.array_equal(cleaned.predict_proba(table).to_numpy(), before)
    lines = [re.search(r"^feature_infos=(.*)$", b.model_to_string(), re.MULTILINE) for b in boosters(cleaned)]
    assert [set(line[1].split()) for line in lines if line] == [{"[-1e308:1e308]"}] * 2


def test_rows_kept_for_further_training_are_gone(predictor: Any, tmp_path: Path) -> None:
    kept = {path.name for path in Path(predictor.path).rglob("*")}
    cleaned = clean_clone(predictor, tmp_path / "clean")
    left = {path.name for path in Path(cleaned.path).rglob("*")}
    assert "utils" in kept
    assert not {name for name in left if name == "utils" or "oof" in name or name in ("X.pkl", "y.pkl")}
