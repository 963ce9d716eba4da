"""What an explanation's files and event hold, whatever features are called and however many there are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from support.networks import problem_of

from handlers.explanation import artifact, results
from handlers.explanation.columns import column_names
from handlers.explanation.doubts import about_answers, about_values
from handlers.explanation.findings import Findings
from handlers.explanation.ranking import rank
from handlers.explanation.results import Told, classes_of, explained_samples, facts_of, outputs_of, summary


def findings_of(n: int, p: int, c: int, names: list[str] | None = None, **more: Any) -> Findings:
    rng = np.random.default_rng(0)
    told: dict[str, Any] = {
        "features": names or [f"g{place}" for place in range(p)],
        "values": rng.normal(size=(n, p, c)),
        "base": rng.random((n, c)),
        "predictions": rng.random((n, c)),
        "explainer": "interventional TreeSHAP, double precision",
        "exactness": "exact",
        "n_background": 100,
    }
    return Findings(**told | more)


def problem(classes: int, n: int = 30) -> Any:
    target = pd.Series([f"class {row % classes}" for row in range(n)] if classes else np.arange(float(n)))
    return problem_of(pd.DataFrame({"g0": np.arange(float(n))}), target)


def told_of(findings: Findings, classes: int) -> Told:
    own, rows = problem(classes), np.arange(findings.n_samples) + 5
    names = classes_of(own)
    samples = explained_samples(findings, rows, names)
    return Told("shap", own, names, findings, rank(findings.values), rows, samples, {}, ["a doubt"])


@pytest.mark.parametrize("name", ["_row", "_class", "_base_value", "_prediction"])
def test_a_feature_may_be_called_like_a_column_of_ours(name: str) -> None:
    assert column_names([name, "a"]) == [f"_{name}", "a"]
    assert column_names([f"_{name}", name, f"__{name}"]) == [f"_{name}", f"___{name}", f"__{name}"]


def test_values_are_written_line_by_line_sample_and_class(tmp_path: Path) -> None:
    found = findings_of(4, 3, 2, ["_row", "ген α", "b\n"])
    artifact.write_values(tmp_path / "values.parquet", found, np.array([9, 2, 7, 5]), ["x", "y"])
    table = parquet.read_table(tmp_path / "values.parquet").to_pandas()
    assert table.columns.to_list() == ["_row", "_class", "_base_value", "_prediction", "__row", "ген α", "b\n"]
    assert table["_row"].tolist() == [9, 9, 2, 2, 7, 7, 5, 5]
    assert table["_class"].tolist() == ["x", "y"] * 4
    line = table[(table["_row"] == 7) & (table["_class"] == "y")].iloc[0]
    assert line[["__row", "ген α", "b\n"]].tolist() == pytest.approx(found.values[2, :, 1], rel=1e-11)
    assert (line["_base_value"], line["_prediction"]) == (found.base[2, 1], found.predictions[2, 1])


def test_twenty_thousand_features_are_written(tmp_path: Path) -> None:
    found = findings_of(3, 20_000, 1)
    artifact.write_values(tmp_path / "values.parquet", found, np.arange(3), [None])
    assert parquet.read_schema(tmp_path / "values.parquet").names[-1] == "g19999"
    told = told_of(found, 0)
    artifact.write_importance(tmp_path / "importance.json", found, told.ranking, [None], [])
    assert len(json.loads((tmp_path / "importance.json").read_text())["importance"]) == 20_000
    facts = facts_of(told)
    assert len(facts.feature_importance) == 200
    assert len(facts.model_dump_json()) < 100_000


def test_importance_is_largest_first_with_null_where_nothing_is_known(tmp_path: Path) -> None:
    found = findings_of(1, 4, 3)
    told = told_of(found, 3)
    artifact.write_importance(tmp_path / "i.json", found, told.ranking, told.classes, [])
    written = json.loads((tmp_path / "i.json").read_text())
    assert written["importance"] == sorted(written["importance"], reverse=True)
    assert written["low"] == [None] * 4
    assert set(written["classes"]) == {"class 0", "class 1", "class 2"}
    assert facts_of(told).importance_intervals == {}


def test_samples_are_told_for_the_likeliest_class(tmp_path: Path) -> None:
    found = findings_of(6, 15, 3)
    told = told_of(found, 3)
    for place, sample in enumerate(told.samples):
        output = int(found.predictions[place].argmax())
        assert (sample.row, sample.class_name) == (place + 5, f"class {output}")
        assert sample.prediction == found.predictions[place, output]
        sizes = [abs(value) for value in sample.contributions.values()]
        assert len(sizes) == 10
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == pytest.approx(np.abs(found.values[place, :, output]).max(), rel=5e-3)
        assert all(size == float(f"{size:.3g}") for size in sizes), "an event tells three digits"
    artifact.write_samples(tmp_path / "s.json", told.samples, np.array([0.5, np.nan, 1, 1, 1, 1]))
    written = json.loads((tmp_path / "s.json").read_text())["samples"]
    assert [sample["stability"] for sample in written[:3]] == [0.5, None, 1]


def test_what_outputs_are_called() -> None:
    assert (classes_of(problem(0)), outputs_of(problem(0))) == ([None], ["target"])
    assert (classes_of(problem(2)), outputs_of(problem(2))) == (["class 1"], ["probability of class 1"])
    assert outputs_of(problem(3))[0] == "probability of class 0"
    assert facts_of(told_of(findings_of(3, 2, 1), 0)).space == "value"
    assert facts_of(told_of(findings_of(3, 2, 1), 2)).class_importance == {}


def test_long_names_and_many_classes_still_make_an_event() -> None:
    names = [f"{'геномика' * 120}{place}" for place in range(300)]
    facts = facts_of(told_of(findings_of(100, 300, 30, names), 30))
    assert len(facts.model_dump_json().encode()) <= 500_000
    assert facts.n_samples == 100
    assert facts.feature_importance
    assert facts.samples


def test_the_summary_names_what_matters() -> None:
    values = np.zeros((5, 4, 1))
    values[:, [2, 0]] = [[3.0], [1.0]]
    found = findings_of(5, 4, 1, ["a", "b", "ген\n" + "c" * 200, "d"], values=values)
    assert summary(found, rank(values)).startswith("Explained 5 samples by interventional TreeSHAP: ген ccc")
    assert summary(found, rank(values)).endswith(", a matter most")
    assert len(summary(found, rank(values))) < 150
    one = findings_of(1, 4, 1, values=np.zeros((1, 4, 1)))
    assert summary(one, rank(one.values)) == "Explained 1 sample by interventional TreeSHAP: no feature matters"


def test_doubts_are_told() -> None:
    still = findings_of(3, 2, 1, values=np.zeros((3, 2, 1)))
    assert about_answers(still) == ["The model's answers do not vary with any feature: all values are zero"]
    same = findings_of(3, 2, 1, predictions=np.ones((3, 1)))
    assert about_answers(same) == ["The model gives all explained samples the same answer"]
    assert about_answers(findings_of(3, 2, 1)) == []
    assert "up to 0.01" in about_values(findings_of(3, 2, 1, additivity_error=0.01))[0]
    local = findings_of(3, 2, 1, local_fits=np.array([[0.1], [np.nan], [0.3]]), stabilities=np.full(3, 0.2))
    assert [told.partition("(")[2] for told in about_values(local)] == [
        "middle R² 0.20): method shap explains them whole",
        "stability 0.20 of 1)",
    ]
    assert about_values(findings_of(3, 2, 1, local_fits=np.full((3, 1), np.nan), stabilities=np.full(3, np.nan))) == []


def test_cells_of_every_type_are_written_as_they_are(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "_row": [1, 2],
            "mixed": [1, "a"],
            "gap": [None, "b"],
            "day": pd.to_datetime(["2026-01-01", None]),
            "kind": pd.Categorical(["x", None]),
            "flag": [True, False],
        }
    )
    artifact.write_features(tmp_path / "f.parquet", table, np.array([4, 8]))
    written = parquet.read_table(tmp_path / "f.parquet").to_pydict()
    assert written["_row"] == [4, 8]
    assert written["__row"] == [1, 2]
    assert written["mixed"] == ["1", "a"]
    assert written["gap"] == [None, "b"]
    assert written["kind"] == ["x", None]
    assert written["flag"] == [True, False]


def test_results_know_no_more_than_a_hundred_samples() -> None:
    facts = facts_of(told_of(findings_of(150, 2, 1), 2))
    assert (facts.n_samples, len(facts.samples)) == (150, results._MOST_SAMPLES)
