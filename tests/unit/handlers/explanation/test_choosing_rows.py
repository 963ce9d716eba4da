"""Which rows are explained and which they are compared with; requests that cannot be carried out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.explaining import SHA256, asked, cohort, explaining

from events.errors import ReasonCode
from handlers.contract import DatasetFile, Inputs, JobRefused
from handlers.explanation import samples
from handlers.explanation.background import background
from handlers.explanation.checks import asked_model
from handlers.explanation.ground import Ground, read_again
from handlers.explanation.samples import choose_samples
from handlers.explanation.stratified import stratified


def ground_of(frame: pd.DataFrame, folder: Path, **more: Any) -> Ground:
    inputs = explaining(frame, folder, **more)
    assert inputs.dataset is not None
    return read_again(inputs.models["m"], inputs.models, inputs.dataset)


def labels(ground: Ground, rows: Any) -> dict[str, int]:
    return dict(ground.frame["target"].iloc[rows].value_counts())


def test_samples_are_test_rows_of_every_class_by_its_share(tmp_path: Path) -> None:
    frame = cohort(600)
    frame.loc[np.arange(600) % 12 != 0, "target"] = "well"
    frame.loc[np.arange(600) % 12 == 0, "target"] = "ill"
    ground = ground_of(frame, tmp_path)
    rows = choose_samples(asked(num_samples=24), ground).rows
    assert set(rows) <= set(ground.problem.rows[ground.parts.test])
    assert labels(ground, rows) == {"well": 22, "ill": 2}
    assert rows.tolist() == choose_samples(asked(num_samples=24), ground).rows.tolist() == sorted(rows)
    assert rows.tolist() != choose_samples(asked(num_samples=24, seed=1), ground).rows.tolist()


def test_the_background_is_training_rows_of_every_class(tmp_path: Path) -> None:
    frame = cohort(600, classes=("a", "b", "c"))
    frame.insert(0, "number", np.arange(600.0))
    ground = ground_of(frame, tmp_path)
    table = background(ground, ["gene 3", "number"])
    rows = table["number"].to_numpy(dtype=int)
    assert list(table.columns) == ["gene 3", "number"]
    assert len(rows) == len(set(rows)) == 100
    assert set(rows) <= set(ground.problem.rows[ground.parts.train])
    assert max(labels(ground, rows).values()) - min(labels(ground, rows).values()) <= 1
    pd.testing.assert_frame_equal(table, background(ground, ["gene 3", "number"]))


def test_of_few_rows_all_are_taken_and_it_is_said(tmp_path: Path) -> None:
    ground = ground_of(cohort(60), tmp_path)
    chosen = choose_samples(asked(num_samples=101), ground)
    assert len(chosen.rows) == len(ground.parts.test) == 12
    assert chosen.warnings == ["All 12 test rows are explained: num_samples = 101 is more than there are"]
    assert choose_samples(asked(num_samples=100), ground).warnings == [], "nobody has asked for so many"
    assert len(background(ground, ["gene 0"])) == len(ground.parts.train) == 48
    assert choose_samples(asked(num_samples=12), ground).warnings == []


def test_a_billion_samples_are_refused_by_the_request_itself() -> None:
    for count in (0, -1, 10**9):
        with pytest.raises(ValueError, match="num_samples"):
            asked(num_samples=count)
    with pytest.raises(ValueError, match="sample_indices"):
        asked(sample_indices=[-1])


def test_rows_are_those_of_the_file_in_the_order_asked(tmp_path: Path) -> None:
    frame = cohort(60)
    frame.loc[3, "target"] = None
    ground = ground_of(frame, tmp_path)
    chosen = choose_samples(asked(sample_indices=[59, 3, 0]), ground)
    assert chosen.rows.tolist() == [59, 3, 0]
    table = ground.table(["gene 1"], chosen.rows)
    assert table["gene 1"].tolist() == frame["gene 1"].iloc[[59, 3, 0]].tolist()
    assert table.index.tolist() == [0, 1, 2]


def test_rows_that_trained_the_model_are_told(tmp_path: Path) -> None:
    ground = ground_of(cohort(60), tmp_path)
    train, test = (ground.problem.rows[part].tolist() for part in (ground.parts.train, ground.parts.test))
    assert choose_samples(asked(sample_indices=test), ground).warnings == []
    [told] = choose_samples(asked(sample_indices=[*test, *train[:5]]), ground).warnings
    assert told.startswith("5 of the 17 explained rows trained the model")


@pytest.mark.parametrize(
    ("rows", "reason", "words"),
    [
        ([0, 60], ReasonCode.OUT_OF_RANGE, r"sample_indices holds 60, but the dataset has 60 rows: .* 0 to 59"),
        ([*range(70)], ReasonCode.OUT_OF_RANGE, r"60, 61, 62, 63, 64 and 5 more"),
        ([5, 1, 5], ReasonCode.INVALID_FIELD, r"sample_indices names rows more than once: 5: send each once"),
    ],
)
def test_rows_that_are_not_there_or_there_twice(
    tmp_path: Path, rows: list[int], reason: ReasonCode, words: str
) -> None:
    with pytest.raises(JobRefused, match=words) as refused:
        choose_samples(asked(sample_indices=rows), ground_of(cohort(60), tmp_path))
    assert refused.value.reason == reason


def test_more_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_MOST_CELLS", 6 * 3 * 10)
    ground = ground_of(cohort(300, classes=("a", "b", "c")), tmp_path)
    with pytest.raises(JobRefused, match="6 features and 3 outputs at most 10 are explained at once: send them in sev"):
        choose_samples(asked(sample_indices=[*range(11)]), ground)
    chosen = choose_samples(asked(num_samples=20), ground)
    assert len(chosen.rows) == 10
    assert chosen.warnings[0].startswith("10 samples are explained and not 20")


def test_the_whole_number_of_strata_gets_a_row_each() -> None:
    rows, strata = np.arange(100) + 7, np.repeat([0, 1, 2, 3], [94, 2, 2, 2])
    chosen = stratified(rows, strata, 4, "key")
    assert sorted(strata[chosen - 7]) == [0, 1, 2, 3]
    assert len(stratified(rows, strata, 3, "key")) == 3
    assert len(stratified(rows, strata, 1, "key")) == 1
    for count in range(1, 101):
        chosen = stratified(rows, strata, count, "key")
        assert len(set(chosen.tolist())) == count


def test_a_regression_is_stratified_by_its_values(tmp_path: Path) -> None:
    frame = cohort(600)
    frame["target"] = np.random.default_rng(0).lognormal(size=600)
    ground = ground_of(frame, tmp_path)
    rows = choose_samples(asked(num_samples=20), ground).rows
    test = frame["target"].iloc[ground.problem.rows[ground.parts.test]].sort_values().to_numpy()
    tenths = np.searchsorted(np.quantile(test, np.arange(1, 10) / 10), frame["target"].iloc[rows])
    assert len(set(tenths.tolist())) >= 9


def test_an_ensemble_learned_what_its_members_did(tmp_path: Path) -> None:
    frame = cohort(60).assign(patient=np.arange(60) // 3)
    whole = ground_of(frame, tmp_path, trained={"group_column": "patient"})
    problem = {"target_column": "target", "group_column": "patient", "problem_type": "classification"}
    none = {"dataset_id": "cohort", "target_column": None}
    other = ground_of(frame, tmp_path, trained=none, plan={"problem": problem}, split_id=whole.parts.split_id)
    assert other.parts.split_id == whole.parts.split_id
    assert set(other.groups(np.arange(6))) == {"0", "1"}


def test_rows_dealt_out_otherwise_are_other_data(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="dealt out otherwise") as refused:
        ground_of(cohort(60), tmp_path, split_id="split-0")
    assert refused.value.reason == ReasonCode.DATASET_CHANGED


def test_a_record_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="does not say what it was trained on") as refused:
        ground_of(cohort(60), tmp_path, trained={"target_column": None})
    assert refused.value.reason == ReasonCode.MODEL_UNSUITABLE


def test_features_that_the_dataset_lacks(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="«gene 9»"):
        ground_of(cohort(60), tmp_path).table(["gene 0", "gene 9"], np.arange(3))


def test_a_dataset_that_changed_or_is_gone(tmp_path: Path) -> None:
    inputs = explaining(cohort(60), tmp_path)
    assert asked_model(asked(), inputs)[0].model_id == "m"
    assert inputs.dataset is not None
    changed = DatasetFile("cohort", inputs.dataset.path, "parquet", "cd" * 32)
    with pytest.raises(JobRefused, match=r"«cohort» is not what model m was trained on.*cdcd.*abab") as refused:
        asked_model(asked(), Inputs(changed, models=inputs.models))
    assert refused.value.reason == ReasonCode.DATASET_CHANGED
    with pytest.raises(JobRefused, match="upload it again") as refused:
        asked_model(asked(), Inputs(None, models=inputs.models))
    assert refused.value.reason == ReasonCode.DATASET_UNKNOWN
    with pytest.raises(JobRefused, match="there is no model m here") as refused:
        asked_model(asked(), Inputs(changed))
    assert refused.value.reason == ReasonCode.MODEL_UNKNOWN
    assert SHA256 not in refused.value.message


def test_lime_is_for_tables(tmp_path: Path) -> None:
    inputs = explaining(cohort(60), tmp_path, trained={"input_shape": [1, 6]})
    asked_model(asked("shap"), inputs)
    with pytest.raises(JobRefused, match=r"input_shape \[1, 6\]\): send method shap") as refused:
        asked_model(asked("lime"), inputs)
    assert refused.value.reason == ReasonCode.MODEL_UNSUITABLE
