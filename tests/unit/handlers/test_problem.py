"""From a request and a table to a problem, or to the reason why there is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.contract import DatasetFile, JobRefused
from handlers.datasets.columns import did_you_mean
from handlers.datasets.problem import Problem
from handlers.datasets.target import MIN_CLASS_ROWS, MIN_ROWS, load_problem

Load = Callable[..., Problem]
SECRET = "Jane Doe"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(frame: pd.DataFrame, **fields: object) -> Problem:
        path = tmp_path / "data.csv"
        frame.to_csv(path, index=False)
        request = AutomlRequested.model_validate({"dataset_id": "d", "target_column": "t", **fields})
        return load_problem(request, DatasetFile("d", path, "csv", "ab" * 32))

    return load


def table(target: object, n: int = 60) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(n) / 7, "y": np.arange(n) % 3, "patient": np.arange(n) // 4, "t": target})


def refused(load: Load, frame: pd.DataFrame, **fields: object) -> JobRefused:
    with pytest.raises(JobRefused) as caught:
        load(frame, **fields)
    assert SECRET not in caught.value.message
    return caught.value


def test_words_are_classes_in_the_order_of_the_alphabet(load: Load) -> None:
    found = load(table(["well", "ill", "ill"] * 20))
    assert (found.problem_type, found.classes) == ("binary", ("ill", "well"))
    assert found.y.tolist()[:3] == [1, 0, 0]
    assert found.X.columns.tolist() == ["x", "y", "patient"]


@pytest.mark.parametrize(
    ("target", "expected", "classes"),
    [
        ([0, 1] * 30, "binary", (0, 1)),
        ([0.5, 1.5] * 30, "binary", (0.5, 1.5)),
        ([True, False] * 30, "binary", (False, True)),
        ([1, 2, 3] * 20, "multiclass", (1, 2, 3)),
        (np.arange(60) % 10, "regression", None),
        (np.arange(60) / 3, "regression", None),
        (list("abcd") * 15, "multiclass", ("a", "b", "c", "d")),
    ],
)
def test_the_kind_of_problem_follows_from_the_target(
    load: Load, target: object, expected: str, classes: object
) -> None:
    found = load(table(target))
    assert (found.problem_type, found.classes) == (expected, classes)


def test_what_is_asked_for_wins(load: Load) -> None:
    assert load(table([1, 2, 3] * 20), problem_type="regression").problem_type == "regression"
    assert load(table(np.arange(60) % 10), problem_type="classification").problem_type == "multiclass"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"target_column": "T"}, "(did you mean «t»?)"),
        ({"group_column": "patients"}, "(did you mean «patient»?)"),
        ({"feature_columns": ["pateint", "zzz"]}, "(did you mean «patient»?)"),
    ],
)
def test_a_misspelt_column_is_answered_with_the_name_that_is_near(
    load: Load, fields: dict[str, object], told: str
) -> None:
    assert refused(load, table([SECRET, "well"] * 30), **fields).message.endswith(told)


def test_a_name_like_no_other_gets_no_guess(load: Load) -> None:
    assert "did you mean" not in refused(load, table([SECRET, "well"] * 30), target_column="zzz").message


def test_no_more_than_three_names_are_guessed() -> None:
    guessed = did_you_mean(["gene"], ["gene1", "gene2", "gene3", "gene4", "", "x"])
    assert guessed.count("«gene") == 3


def test_features_that_are_all_constant_are_refused(load: Load) -> None:
    frame = pd.DataFrame({"a": 1.0, "b": "x", "c": None, "t": ["yes", "no"] * 30})
    refusal = refused(load, frame)
    assert refusal.reason is ReasonCode.NO_FEATURES
    assert "one value or none" in refusal.message


def test_rows_without_a_target_or_group_are_left_out_and_told(load: Load) -> None:
    frame = table([1.0, 2.0, 3.0] * 20)
    frame.loc[3, "t"] = None
    frame.loc[[5, 6], "patient"] = None
    found = load(frame, group_column="patient")
    assert found.n_rows_dropped == 3
    assert not {3, 5, 6} & set(found.rows)
    assert found.classes == (1, 2, 3)
    assert found.X.columns.tolist() == ["x", "y"]
    assert found.X["x"].tolist() == pytest.approx(frame.loc[found.rows, "x"].tolist())
    assert found.warnings == ["1 rows without a target are left out", "2 rows without a group are left out"]


def test_named_features_and_exclusions(load: Load) -> None:
    frame = table(["a", "b"] * 30)
    assert load(frame, feature_columns=["y", "x"]).X.columns.tolist() == ["x", "y"]
    assert load(frame, exclude_columns=["x"]).X.columns.tolist() == ["y", "patient"]


def test_the_parts_follow_from_the_data(load: Load) -> None:
    frame = table(["a", "b"] * 30)
    one, other = load(frame), load(frame, exclude_columns=["x"], seed=7, time_limit=5)
    assert one.split().split_id == other.split().split_id
    assert load(frame, group_column="patient").split().split_id != one.split().split_id


def test_the_problem_type_does_not_move_the_split(load: Load) -> None:
    frame = table([1, 2, 3] * 20)
    assert load(frame).split().split_id == load(frame, problem_type="regression").split().split_id


def test_columns_without_a_name_are_no_features(load: Load) -> None:
    frame = table(["a", "b"] * 30).rename(columns={"x": ""})
    found = load(frame)
    assert found.X.columns.tolist() == ["y", "patient"]
    assert found.warnings == ["Columns without a name are not used as features"]


def test_a_feature_that_is_there_twice_is_used_once(load: Load) -> None:
    frame = table(["a", "b"] * 30).rename(columns={"patient": "x"})
    found = load(frame)
    assert found.X.columns.tolist() == ["x", "y"]
    assert found.warnings == ["Of columns with the same name only the first is used: «x»"]


def test_labels_of_samples_do_not_give_the_answer_away(tmp_path: Path) -> None:
    import anndata

    obs = pd.DataFrame({"cell_type": ["B", "T"] * 20, "cluster": ["0", "1"] * 20}, index=[f"c{i}" for i in range(40)])
    values = np.random.default_rng(0).random((40, 3))
    anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=["g1", "g2", "g3"])).write_h5ad(tmp_path / "d.h5ad")
    file = DatasetFile("d", tmp_path / "d.h5ad", "h5ad", "ab" * 32)
    found = load_problem(AutomlRequested(dataset_id="d", target_column="cell_type"), file)
    assert found.X.columns.tolist() == ["g1", "g2", "g3"]
    asked = AutomlRequested(dataset_id="d", target_column="cell_type", feature_columns=["g1", "cluster"])
    assert load_problem(asked, file).X.columns.tolist() == ["cluster", "g1"]


N = 60
BAD: dict[str, tuple[pd.DataFrame, dict[str, object], ReasonCode, str]] = {
    "no such target": (table(["a", "b"] * 30), {"target_column": "zz"}, ReasonCode.TARGET_MISSING, "«zz»"),
    "the target twice": (
        table(["a", "b"] * 30).rename(columns={"x": "t"}), {}, ReasonCode.TARGET_DUPLICATE, "2 columns are called «t»",
    ),
    "an empty target": (table([None] * N), {}, ReasonCode.TARGET_EMPTY, "«t»"),
    "a constant target": (table([3.5] * N), {}, ReasonCode.TARGET_CONSTANT, "«t»"),
    "one class": (table([SECRET] * N), {}, ReasonCode.TARGET_ONE_CLASS, "«t»"),
    "a class with one row": (
        table([SECRET, *(["a", "b"] * 30)][:N]), {}, ReasonCode.TARGET_CLASS_TOO_SMALL, f"at least {MIN_CLASS_ROWS}",
    ),
    "an id in words": (table([f"{SECRET} {i}" for i in range(N)]), {}, ReasonCode.TARGET_IS_ID, "«t»"),
    "an id in numbers": (table(range(1, N + 1)), {}, ReasonCode.TARGET_IS_ID, "problem_type regression"),
    "classes of a quantity": (
        table(np.arange(N) / 7), {"problem_type": "classification"}, ReasonCode.TARGET_IS_ID, "regression",
    ),
    "words as a quantity": (
        table([SECRET, "b"] * 30), {"problem_type": "regression"}, ReasonCode.TARGET_NOT_NUMERIC, "classification",
    ),
    "unknown features": (
        table(["a", "b"] * 30), {"feature_columns": ["x", *"abcdefg"]}, ReasonCode.COLUMN_MISSING,
        "feature_columns names columns that the dataset does not have: «a», «b», «c», «d», «e» and 2 more",
    ),
    "unknown exclusions": (
        table(["a", "b"] * 30), {"exclude_columns": ["q"]}, ReasonCode.COLUMN_MISSING, "exclude_columns",
    ),
    "unknown groups": (table(["a", "b"] * 30), {"group_column": "q"}, ReasonCode.COLUMN_MISSING, "group_column"),
    "the target as feature": (
        table(["a", "b"] * 30), {"feature_columns": ["x", "t"]}, ReasonCode.INVALID_FIELD, "leave it out",
    ),
    "the target as group": (table(["a", "b"] * 30), {"group_column": "t"}, ReasonCode.INVALID_FIELD, "group_column"),
    "no features": (
        table(["a", "b"] * 30), {"exclude_columns": ["x", "y", "patient"]}, ReasonCode.NO_FEATURES, "feature_columns",
    ),
    "three rows": (table(["a", "b", "a"], n=3), {}, ReasonCode.TOO_FEW_ROWS, f"at least {MIN_ROWS}"),
    "three groups": (
        table(["a", "b"] * 30).assign(patient=np.arange(N) % 3), {"group_column": "patient"},
        ReasonCode.GROUPS_TOO_FEW, "3 groups",
    ),
    "a class of one group": (
        table(np.where(np.arange(N) < 6, SECRET, "b")).assign(patient=np.arange(N) // 6), {"group_column": "patient"},
        ReasonCode.GROUPS_TOO_FEW, "1 classes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "fields", "reason", "says"), BAD.values(), ids=BAD)
def test_what_cannot_be_learned_is_refused_with_the_reason(
    load: Load, frame: pd.DataFrame, fields: dict[str, object], reason: ReasonCode, says: str
) -> None:
    found = refused(load, frame, **fields)
    assert found.reason is reason
    assert says in found.message


def test_an_id_in_numbers_may_be_a_quantity_if_somebody_says_so(load: Load) -> None:
    assert load(table(range(1, N + 1)), problem_type="regression").problem_type == "regression"
