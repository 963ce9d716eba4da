"""The handler from a request to files and facts, with a model whose Shapley values are known."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from support.explaining import Additive, Reports, asked, cohort, explaining

from events.errors import ReasonCode
from events.explanations import ExplanationFacts
from handlers.contract import Inputs, JobRefused, Outputs, Result
from handlers.explanation import handler, lime_values, shap_values
from handlers.explanation.background import background
from handlers.explanation.ground import read_again

GENES = [f"gene {place}" for place in range(6)]
#: Digits that no computation arrives at.
SECRET = 7.123456789012


@dataclass
class Done:
    result: Result
    folder: Path
    reports: Reports
    inputs: Inputs

    @property
    def facts(self) -> ExplanationFacts:
        assert self.result.explanation is not None
        return self.result.explanation

    def values(self) -> pd.DataFrame:
        frame: pd.DataFrame = parquet.read_table(self.folder / "values.parquet").to_pandas()
        return frame


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lime_values, "N_NEIGHBOURS", 500)


def explain(
    frame: pd.DataFrame,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    method: str = "shap",
    features: list[str] | None = None,
    weights: Any = None,
    reports: Reports | None = None,
    trained: dict[str, Any] | None = None,
    drawn: bool = False,
    **request: Any,
) -> Done:
    names = features or [name for name in frame.columns if name != "target"]
    if weights is None:
        weights = np.linspace(1, 0.1, len(names))[:, None] / 10
    monkeypatch.setattr(handler, "part_of", lambda model, models: Additive(names, weights))
    if not drawn:
        monkeypatch.setattr(handler, "draw_explanation", lambda explained, directory, include_values: {})
    inputs = explaining(frame, folder, trained)
    out, reports = Outputs(folder / "out", folder / "keep"), reports or Reports()
    out.directory.mkdir()
    result = handler.run(asked(method, **request), inputs, out, reports)
    return Done(result, out.explanation, reports, inputs)


def test_an_explanation_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = explain(cohort(300), tmp_path, monkeypatch, num_samples=40)
    facts, values = done.facts, done.values()
    assert (facts.method, facts.space, facts.n_samples, facts.n_background) == ("shap", "probability", 40, 100)
    assert (facts.explainer, facts.exactness) == ("additive parts, exactly", "exact")
    assert list(facts.feature_importance) == GENES
    assert facts.additivity_error is not None
    assert facts.additivity_error < 1e-12
    assert all(low < facts.feature_importance[name] < high for name, (low, high) in facts.importance_intervals.items())
    rest = values["_prediction"] - values["_base_value"] - values[GENES].sum(axis=1)
    assert np.abs(rest).max() < 1e-12
    assert set(values["_class"]) == {"well"}
    assert facts.feature_importance["gene 0"] == pytest.approx(values["gene 0"].abs().mean())
    assert [sample.row for sample in facts.samples] == values["_row"].tolist()
    assert done.result.summary == "Explained 40 samples by additive parts: gene 0, gene 1, gene 2 matter most"
    json.dumps(done.result.record)
    assert {"read", "open", "explain", "pictures", "scan"} <= set(done.result.record["seconds"])


def test_values_are_those_against_the_training_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = explain(cohort(300), tmp_path, monkeypatch, sample_indices=[7, 3])
    inputs = done.inputs
    assert inputs.dataset is not None
    ground = read_again(inputs.models["m"], inputs.models, inputs.dataset)
    middle = np.tanh(background(ground, GENES).to_numpy()).mean(axis=0)
    known = (np.tanh(ground.frame[GENES].iloc[[7, 3]].to_numpy()) - middle) * np.linspace(1, 0.1, 6) / 10
    assert done.values()[GENES].to_numpy() == pytest.approx(known)
    assert done.values()["_row"].tolist() == [7, 3]


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_pictures_lie_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    done = explain(cohort(300), tmp_path, monkeypatch, method=method, num_samples=40, drawn=True)
    shown = done.facts.visualizations
    assert {"summary_plot", "bar_plot"} <= set(shown)
    assert ("dependence_plot" in shown) == (method == "shap")
    for name, path in shown.items():
        assert path == f"pictures/{name}.svg"
        assert (done.folder / path).is_file()
        assert (done.folder / path).with_suffix(".png").is_file()


def test_lime_tells_how_well_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = explain(cohort(300), tmp_path, monkeypatch, method="lime", num_samples=20)
    facts = done.facts
    assert facts.explainer.startswith("LIME")
    assert facts.additivity_error is None
    assert 0.3 < (facts.local_fit or 0) < 1
    assert 0 < (facts.stability or 0) <= 1
    assert next(iter(facts.feature_importance)) == "gene 0"
    assert all(sample.local_fit is not None for sample in facts.samples)
    assert done.result.summary.startswith("Explained 20 samples by LIME: gene 0, ")
    assert facts.n_background == 195


@pytest.mark.parametrize("method", ["shap", "lime"])
@pytest.mark.parametrize("classes", [("a", "b", "c", "d"), None])
def test_many_classes_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, classes: tuple[str, ...] | None
) -> None:
    frame = cohort(200, classes=classes or ("a",))
    if classes is None:
        frame["target"] = np.random.default_rng(0).normal(size=200)
    weights = np.random.default_rng(0).normal(size=(6, len(classes or "a")))
    done = explain(frame, tmp_path, monkeypatch, method=method, weights=weights, num_samples=30)
    assert done.facts.space == ("value" if classes is None else "probability")
    assert list(done.facts.class_importance) == list(classes or ())
    assert len(done.values()) == 30 * len(classes or "a")
    assert {sample.class_name for sample in done.facts.samples} <= set(classes or [None])


@pytest.mark.slow
def test_the_same_request_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("shap", "lime"):
        one, two = (
            explain(cohort(200), tmp_path / f"{method}{number}", monkeypatch, method=method, num_samples=5, drawn=True)
            for number in "12"
        )
        assert one.facts == two.facts
        names = sorted(path.relative_to(one.folder) for path in one.folder.rglob("*") if path.is_file())
        assert names == sorted(path.relative_to(two.folder) for path in two.folder.rglob("*") if path.is_file())
        assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in names)


def test_progress_is_told_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shap_values, "_BLOCK", 10)
    done = explain(cohort(300), tmp_path, monkeypatch, num_samples=40)
    percents = [percent for percent, _ in done.reports.told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert "Explained 20 of 40 samples" in [message for _, message in done.reports.told]
    assert done.reports.etas


def test_a_stop_ends_it_at_its_next_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shap_values, "_BLOCK", 10)
    reports = Reports(stop_after=7)
    with pytest.raises(JobRefused, match="allow more timeout_s") as refused:
        explain(cohort(300), tmp_path, monkeypatch, num_samples=40, reports=reports)
    assert refused.value.reason == ReasonCode.TIMED_OUT
    assert len(reports.told) <= 8


def telling() -> pd.DataFrame:
    """Cells that can be told apart: SECRET, and then the row's number, and the column's."""
    frame = cohort(300)
    for place, name in enumerate(GENES):
        frame[name] = SECRET + np.arange(300) * 1e-4 + place * 1e-1 + np.random.default_rng(place).random(300) * 1e-8
    return frame.assign(ident=[f"patient-{row:05d}-Q" for row in range(300)])


def leaked(folder: Path, frame: pd.DataFrame, rows: list[int]) -> list[str]:
    """Files with cells of these rows: as float64 at any place, as text of nine digits or more, or as words."""
    cells, found = frame[GENES].iloc[rows].to_numpy(), []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        raw = _unpacked(path)
        words = [word for word in frame["ident"].iloc[rows] if word.encode() in raw]
        written = {f"{float(number):.8f}" for number in re.findall(rb"\d\.\d{8,}", raw)}
        told = written & {f"{cell:.8f}" for cell in cells.ravel()}
        stored = [np.frombuffer(raw[at : at + (len(raw) - at) // 8 * 8]) for at in range(8)]
        if words or told or any(np.isin(numbers, cells).any() for numbers in stored):
            found.append(path.name)
    return found


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".parquet":
        frame = parquet.read_table(path).to_pandas()
        numbers = frame.select_dtypes("number").to_numpy(dtype=float).tobytes()
        return numbers + frame.select_dtypes(exclude="number").to_csv().encode()
    return path.read_bytes()


def test_a_leak_would_be_noticed(tmp_path: Path) -> None:
    frame = telling()
    frame[["gene 0"]].iloc[3:4].to_json(tmp_path / "a.json", double_precision=10)
    frame[["gene 5"]].iloc[3:4].to_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.bin").write_bytes(b"x" + frame["gene 2"].iloc[3].tobytes())
    (tmp_path / "d.svg").write_text(frame["ident"].iloc[3])
    assert sorted(leaked(tmp_path, frame, [3])) == ["a.json", "b.parquet", "c.bin", "d.svg"]
    assert leaked(tmp_path, frame, [4, 5]) == []


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_no_cell_of_any_row_is_in_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    frame = telling()
    done = explain(frame, tmp_path, monkeypatch, method=method, features=GENES, sample_indices=[*range(60)], drawn=True)
    assert not (done.folder / "features.parquet").exists()
    assert leaked(done.folder, frame, [*range(300)]) == []
    assert "patient-" not in done.facts.model_dump_json()


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_the_cells_asked_for_are_there_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    frame, rows = telling(), [5, 250, 31]
    done = explain(
        frame,
        tmp_path,
        monkeypatch,
        method=method,
        features=GENES,
        sample_indices=rows,
        include_values=True,
        drawn=True,
    )
    told = parquet.read_table(done.folder / "features.parquet").to_pandas()
    assert told["_row"].tolist() == rows
    assert told[GENES].to_numpy().tolist() == frame[GENES].iloc[rows].to_numpy().tolist()
    assert "ident" not in told
    assert leaked(done.folder, frame, [row for row in range(300) if row not in rows]) == []


def test_a_background_in_a_file_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = telling()

    def draws_rows(explained: Any, directory: Path, *, include_values: bool) -> dict[str, str]:
        directory.mkdir()
        frame[GENES].iloc[100:120].to_csv(directory / "oops.csv")
        return {}

    monkeypatch.setattr(handler, "draw_explanation", draws_rows)
    for number, include in enumerate((False, True)):
        with pytest.raises(JobRefused, match=r"the explanation was thrown away.*oops.csv") as refused:
            explain(
                frame,
                tmp_path / str(number),
                monkeypatch,
                features=GENES,
                sample_indices=[0, 1, 2],
                include_values=include,
                drawn=True,
            )
        assert refused.value.reason == ReasonCode.ROW_IN_ARTIFACT


def test_coarse_cells_that_were_asked_for_are_no_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = cohort(300)
    frame[GENES] = frame[GENES].round(3)
    frame["gene 5"] = pd.array(np.arange(300) % 7, dtype="Int64")
    done = explain(frame, tmp_path, monkeypatch, sample_indices=[*range(0, 300, 2)], include_values=True)
    assert len(parquet.read_table(done.folder / "features.parquet")) == 150


def test_a_model_that_knows_the_targets_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = cohort(300)
    frame["target"] = frame["gene 0"] * 3
    heart = Additive(GENES, np.eye(6)[:, :1] * 3, lambda X: X)
    monkeypatch.setattr(heart, "answers", lambda X: X.to_numpy()[:, :1] * 3)
    inputs, out = explaining(frame, tmp_path), Outputs(tmp_path / "out", tmp_path / "keep")
    monkeypatch.setattr(handler, "part_of", lambda model, models: heart)
    monkeypatch.setattr(handler, "draw_explanation", lambda explained, directory, include_values: {})
    out.directory.mkdir()
    handler.run(asked(sample_indices=[*range(0, 100)]), inputs, out, Reports())
    values = parquet.read_table(out.explanation / "values.parquet").to_pandas()
    assert values["_prediction"].tolist() == frame["target"].iloc[:100].tolist()


def test_absurd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["_row", "__row", "_class", "ген α→β", "a\nb", "<script>&\"'"]
    frame = cohort(120).rename(columns=dict(zip(GENES, names, strict=True)))
    done = explain(frame, tmp_path, monkeypatch, num_samples=12, include_values=True, drawn=True)
    assert list(done.facts.feature_importance) == names
    assert done.values().columns.to_list()[4:] == ["___row", "__row", "__class", *names[3:]]


def test_one_feature_one_sample_and_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("shap", "lime"):
        frame = cohort(60, p=1)
        done = explain(frame, tmp_path / method, monkeypatch, method=method, num_samples=1, weights=np.zeros((1, 1)))
        assert done.facts.n_samples == 1
        assert done.facts.importance_intervals == {}
        assert done.result.summary.endswith("no feature matters")
        assert any("do not vary" in told for told in done.facts.warnings)


def test_groups_widen_the_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = cohort(300)
    frame["patient"] = pd.qcut(frame["gene 1"], 15, labels=False)
    widths = []
    for number, trained in enumerate(({"exclude_columns": ["patient"]}, {"group_column": "patient"})):
        rows = [*range(0, 300, 3)]
        done = explain(frame, tmp_path / str(number), monkeypatch, features=GENES, trained=trained, sample_indices=rows)
        low, high = done.facts.importance_intervals["gene 1"]
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.slow
def test_twenty_thousand_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 20_000)), columns=[f"g{place}" for place in range(20_000)])
    frame = pd.concat([frame, pd.Series(["a", "b"] * 30, name="target")], axis="columns")
    monkeypatch.setattr(lime_values, "N_NEIGHBOURS", 100)
    weights = np.zeros((20_000, 1))
    weights[777] = 1
    for method in ("shap", "lime"):
        done = explain(frame, tmp_path / method, monkeypatch, method=method, weights=weights, num_samples=2)
        assert next(iter(done.facts.feature_importance)) == "g777"
        assert len(done.facts.feature_importance) == 200
        assert len(done.facts.model_dump_json()) < 100_000
