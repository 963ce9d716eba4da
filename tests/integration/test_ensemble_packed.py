"""Ensembles from finished models to one: what is packed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.combining import BLOCKS, Place, cohort, hashes, three_causes
from support.libraries import for_learning

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.contract import JobRefused, ModelFiles
from handlers.datasets.target import load_problem
from handlers.ensemble import artifact
from handlers.mlflow_models import predict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)
classes = pytest.fixture(scope="module")(three_causes)


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
