"""Explanations of models that were really trained: from their files and records to values that add up."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from support.explaining import SHA256, Reports, asked
from support.few_models import quick

from events.explanations import ExplanationFacts
from events.requests import AutomlRequested, DeepLearningRequested
from handlers.contract import DatasetFile, Inputs, Limits, ModelFiles, Outputs, Result
from handlers.deep_learning.handler import run as deep
from handlers.explanation.handler import run
from handlers.mlflow_models import predict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INFORMATIVE = ["planted 1", "planted 2"]


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")
        importlib.import_module("autogluon.tabular")


def planted(n: int = 240, p: int = 20) -> pd.DataFrame:
    """Two genes decide, the others are noise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, p)), columns=[f"noise {place}" for place in range(p)])
    for name in INFORMATIVE:
        frame.insert(7, name, rng.normal(size=n))
    score = frame["planted 1"] + frame["planted 2"] + rng.normal(scale=0.3, size=n)
    return frame.assign(target=np.where(score > 0, "ill", "well"))


def trained(folder: Path, handler: Any, request: Any) -> Inputs:
    """The inputs of an explanation of a model that `handler` trains here."""
    planted().to_parquet(folder / "data.parquet")
    dataset = DatasetFile("cohort", folder / "data.parquet", "parquet", SHA256)
    out = Outputs(folder / "trained", folder / "keep")
    for path in (out.directory, out.keep):
        path.mkdir()
    result: Result = handler(request, Inputs(dataset, limits=Limits(1)), out, Reports())
    assert result.model is not None
    facts = result.model.model_dump(mode="json") | {
        "model_id": "m",
        "dataset_id": "cohort",
        "dataset_sha256": SHA256,
        "target_column": "target",
        "training_config": request.model_dump(mode="json"),
    }
    return Inputs(dataset, models={"m": ModelFiles("m", out.model, facts)}, limits=Limits(1))


@pytest.fixture(scope="module")
def automl(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    request = AutomlRequested(dataset_id="cohort", target_column="target", quality="medium", time_limit=60)
    return trained(tmp_path_factory.mktemp("automl"), quick, request)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    request = DeepLearningRequested(dataset_id="cohort", target_column="target", architecture="cnn_1d", epochs=3)
    return trained(tmp_path_factory.mktemp("network"), deep, request)


def explain(inputs: Inputs, folder: Path, method: str, **more: Any) -> tuple[ExplanationFacts, Path, str]:
    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir(parents=True)
    result = run(asked(method, **more), inputs, out, Reports())
    assert result.explanation is not None
    return result.explanation, out.explanation, result.summary


@pytest.mark.parametrize("method", ["shap", "lime"])
@pytest.mark.parametrize("kind", ["automl", "network"])
def test_planted_genes_come_first(kind: str, method: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    inputs = request.getfixturevalue(kind)
    facts, folder, summary = explain(inputs, tmp_path, method, num_samples=20)
    assert set(list(facts.feature_importance)[:2]) == set(INFORMATIVE), summary
    assert facts.n_samples == 20
    assert facts.explainer
    assert (folder / facts.visualizations["summary_plot"]).is_file()
    values = parquet.read_table(folder / "values.parquet").to_pandas()
    _is_of_the_model(inputs, values)
    if method == "shap":
        assert facts.additivity_error is not None
        assert facts.additivity_error < 1e-3


def _is_of_the_model(inputs: Inputs, values: pd.DataFrame) -> None:
    """What was explained is what the artifact itself answers."""
    frame = planted().iloc[values["_row"].to_numpy()]
    problem = type("Problem", (), {"classes": ("ill", "well")})
    said = predict(inputs.models["m"].path, frame.drop(columns="target"), np.zeros(len(frame)), problem)
    assert said.probabilities is not None
    assert values["_prediction"].to_numpy() == pytest.approx(said.probabilities[:, 1], abs=1e-4)


def test_asked_rows_are_explained_one_by_one(automl: Inputs, tmp_path: Path) -> None:
    facts, folder, _ = explain(automl, tmp_path, "shap", sample_indices=[239, 0], include_values=True)
    assert [sample.row for sample in facts.samples] == [239, 0]
    assert {"waterfall_239", "waterfall_0"} <= set(facts.visualizations)
    told = parquet.read_table(folder / "features.parquet").to_pandas()
    assert told["planted 1"].tolist() == planted()["planted 1"].iloc[[239, 0]].tolist()
