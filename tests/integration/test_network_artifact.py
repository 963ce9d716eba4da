"""A network's artifact as a stranger uses it: without our code, beside one of another version, without a row in it."""

import importlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from support.networks import network_of, problem_of

from handlers.datasets.problem import Problem
from handlers.network_jobs.artifact import predict, requirements, saved_in, write_network
from handlers.networks.predicting import predict_probabilities, predict_values
from handlers.networks.saved import load
from handlers.row_scan import refuse_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

N = 120


def cancer() -> Problem:
    data = load_breast_cancer(as_frame=True)
    X = data.data.iloc[:N].rename(columns={"mean radius": "größe", "mean area": "面積, [µm²]"})
    X = X.assign(ward=np.array(["α", "b", "c"])[np.arange(N) % 3], note=[f"patient {i}" for i in range(N)])
    return problem_of(X, data.target.iloc[:N].map({0: "malignant", 1: "benign"}))


def diabetes() -> Problem:
    data = load_diabetes(as_frame=True)
    return problem_of(data.data.iloc[:N], data.target.iloc[:N].astype(float))


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    # MLflow warns about its own type hints when it is imported, which a job's process does once, before any job.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("classes") / "model"
    write_network(*network_of(cancer()), cancer(), directory)
    return directory


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another version: its network says more by a thousand."""
    directory = tmp_path_factory.mktemp("values") / "model"
    write_network(*network_of(diabetes(), "transformer"), diabetes(), directory)
    code = directory / "artifacts" / "code" / "predicting.py"
    changed = code.read_text("utf-8").replace(
        "_outputs(network, table, X)[:, 0]", "_outputs(network, table, X)[:, 0] + 1000"
    )
    code.write_text(changed, encoding="utf-8")
    return directory


def test_it_says_what_the_network_says_and_is_left_as_it_was(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = cancer()
    network, table = network_of(problem)
    before = {path: path.read_bytes() for path in classes.rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    said = predict(classes, problem.X, problem.y, problem)
    expected = predict_probabilities(network, table, problem.X)
    assert said.probabilities is not None
    assert (said.probabilities == expected).all()
    assert (said.predicted == expected.argmax(axis=1)).all()
    assert {path: path.read_bytes() for path in classes.rglob("*") if path.is_file()} == before


def test_no_row_no_pickle_and_no_path_of_this_machine(classes: Path) -> None:
    report = refuse_rows(classes, cancer())
    assert report.words > 0
    files = [path for path in classes.rglob("*") if path.is_file()]
    assert len(files) == report.files
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".pyc", ".joblib")]
    assert not [path for path in files if str(classes.parent).encode() in path.read_bytes()]
    assert {path.name for path in classes.iterdir()} == {
        "MLmodel", "artifacts", "conda.yaml", "python_env.yaml", "requirements.txt", "served.py",
    }  # fmt: skip


def test_requirements_are_exact_and_no_more_than_the_network_needs(classes: Path) -> None:
    asked = (classes / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in asked] == ["mlflow", "numpy", "pandas", "safetensors", "torch"]
    assert all("==" in line and "+" not in line for line in asked)
    network, _ = network_of(diabetes())

    def told(**encoder: Any) -> list[str]:
        network.arguments = lambda: {"encoder": encoder}  # type: ignore[method-assign]
        return [line.partition("==")[0] for line in requirements(network)[5:]]

    assert told(name="vision", family="torchvision") == ["torchvision"]
    assert told(name="aligned", inner={"name": "vision", "family": "timm"}) == ["timm", "torchvision"]
    assert told(name="aligned", inner={"name": "lstm"}) == []


ELSEWHERE = """
import json, sys, warnings
# What a stranger's environment need not have.
for name in "handlers events infra schemas torchvision timm pytorch_lightning autogluon sklearn".split():
    sys.modules[name] = None
import mlflow.pyfunc, numpy as np, pandas as pd
folder, classes, values = sys.argv[1:]
one, other = mlflow.pyfunc.load_model(classes), mlflow.pyfunc.load_model(values)
patients, people = pd.read_parquet(folder + "/classes.parquet"), pd.read_parquet(folder + "/values.parquet")

def refused(table):
    try:
        one.predict(table)
    except Exception as error:
        return str(error)

otherwise = patients.sample(frac=1, axis="columns", random_state=0).assign(more=1).set_axis(
    [f"row {i}" for i in range(len(patients))])
answer = one.predict(otherwise)
numbers = other.predict(people)
print(json.dumps({
    "columns": list(answer), "index": list(answer.index[:2]), "said": answer["prediction"].tolist(),
    "probabilities": answer.iloc[:, 1:].to_numpy().tolist(), "dtypes": sorted({str(t) for t in answer.dtypes}),
    "alone": one.predict(patients.iloc[[3]]).iloc[0, 1], "numbers": numbers["prediction"].tolist(),
    "again": one.predict(patients).equals(answer.set_axis(patients.index)),
    "empty": [list(one.predict(patients[:0])), len(one.predict(patients[:0])), list(other.predict(people[:0]))],
    "missing": refused(patients.drop(columns=["größe", "ward"])),
    "twice": refused(pd.concat([patients, patients[["größe"]]], axis="columns")),
    "text": refused(patients.assign(größe="SECRET")),
    "category": len(one.predict(patients.assign(ward="unseen"))),
}))
"""


def test_two_versions_predict_in_one_process_without_our_code(classes: Path, values: Path, tmp_path: Path) -> None:
    patients, people = cancer(), diabetes()
    patients.X.to_parquet(tmp_path / "classes.parquet")
    people.X.to_parquet(tmp_path / "values.parquet")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    empty = tmp_path / "empty"
    empty.mkdir()
    words = [sys.executable, "-P", "-c", ELSEWHERE, str(tmp_path), str(classes), str(values)]
    done = subprocess.run(words, cwd=empty, env=environment, capture_output=True, timeout=200, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["columns"] == ["prediction", "probability_benign", "probability_malignant"]
    assert told["index"] == ["row 0", "row 1"]
    assert told["dtypes"] == ["float64", "object"]
    expected = predict_probabilities(*network_of(patients), patients.X)
    np.testing.assert_allclose(told["probabilities"], expected, rtol=1e-5)
    assert told["said"] == [("benign", "malignant")[code] for code in expected.argmax(axis=1)]
    assert len(set(told["said"])) == 2
    assert told["alone"] == pytest.approx(expected[3, 0], rel=1e-4)
    assert told["again"]
    ours = predict_values(*network_of(people, "transformer"), people.X)
    np.testing.assert_allclose(told["numbers"], ours + 1000, rtol=1e-6)
    assert told["empty"] == [told["columns"], 0, ["prediction"]]
    assert "the table lacks 2 of the model's 31 columns: 'größe', 'ward'" in told["missing"]
    assert "more than one column called 'größe'" in told["twice"]
    assert "the column 'größe' holds something else than numbers" in told["text"]
    assert "SECRET" not in told["text"]
    assert told["category"] == N


def test_a_later_job_reads_the_network_out_of_it(classes: Path) -> None:
    network, table, about = load(saved_in(classes))
    assert table.columns == about["features"] == [name for name in cancer().X if name != "note"]
    assert about["classes"] == ["benign", "malignant"]
    assert (about["problem_type"], about["target_column"]) == ("binary", "target")
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), network_of(cancer())[0].state_dict().values(), strict=True)
    )


def test_as_many_columns_as_genes(tmp_path: Path) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 20_000)).round(3)).add_prefix("基因 ")
    problem = problem_of(X, pd.Series(np.arange(60.0)))
    network, table = network_of(problem)
    write_network(network, table, problem, tmp_path / "model")
    said = predict(tmp_path / "model", X[X.columns[::-1]].iloc[:8], problem.y[:8], problem)
    assert said.probabilities is None
    np.testing.assert_allclose(said.predicted, predict_values(network, table, X.iloc[:8]), rtol=1e-6)
    refuse_rows(tmp_path / "model", problem)
