"""Planted leaks are named; real data raise no alarm."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from handlers.datasets.problem import Problem
from handlers.splits import Split
from handlers.suspicions import duplicates, names_of_people_and_rows, suspicions

N = 240
GIVEN_AWAY = "give the target away"
GAPS = "gaps give the target away"
SOFT = "tell the classes apart"
OWNERS = "look like ids of patients"
TELL_GROUPS = "tell which group"
ROW_IDS = "number or name the rows"


def problem_of(frame: pd.DataFrame, group_column: str | None = None) -> Problem:
    target = frame["target"]
    is_class = not pd.api.types.is_float_dtype(target.dtype)
    codes, classes = pd.factorize(target, sort=True)
    return Problem(
        X=frame.drop(columns=["target", *([group_column] if group_column else [])]),
        y=codes.astype(np.int64) if is_class else target.to_numpy(),
        target=target,
        groups=None if group_column is None else frame[group_column],
        rows=np.arange(len(frame)),
        problem_type=("binary" if len(classes) == 2 else "multiclass") if is_class else "regression",
        classes=tuple(classes) if is_class else None,
        target_column="target",
        group_column=group_column,
        dataset_sha256="ab" * 32,
    )


def said(frame: pd.DataFrame, group_column: str | None = None) -> list[str]:
    problem = problem_of(frame, group_column)
    return suspicions(problem, problem.split().train)


def naming(sentences: list[str], column: str) -> list[str]:
    return [sentence for sentence in sentences if f"«{column}»" in sentence]


def cohort(n_classes: int = 2, n: int = N, p: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(n_classes)
    y = rng.permutation(np.arange(n) % n_classes)
    frame = pd.DataFrame(rng.normal(size=(n, p)), columns=[f"gene {i}" for i in range(p)])
    frame["gene 0"] += y
    return frame.assign(target=[f"class {label}" for label in y])


def code(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    return pd.factorize(frame["target"], sort=True)[0]


RNG = np.random.default_rng(7)
DISGUISES: dict[str, Any] = {
    "renamed": lambda y: [f"stage {label}" for label in y],
    "recoded": lambda y: np.array([7, 3, 5, 11])[y],
    "scaled": lambda y: y * 1.7 - 40,
    "with noise": lambda y: y + RNG.normal(size=len(y)) * 0.02,
    "a category": lambda y: pd.Categorical([f"arm {label}" for label in y]),
    "several codes a class": lambda y: [
        f"C{label * 5 + int(i)}" for label, i in zip(y, RNG.integers(0, 5, len(y)), strict=True)
    ],
    "a boolean of a class": lambda y: y == 1,
    "nullable": lambda y: pd.array(y + 1, dtype="Int64"),
}


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_target_in_disguise_is_named(n_classes: int, disguise: str) -> None:
    frame = cohort(n_classes)
    sentences = said(frame.assign(leak=DISGUISES[disguise](code(frame))))
    assert GIVEN_AWAY in sentences[0]
    assert "«leak»" in sentences[0]
    assert "«gene" not in " ".join(sentences)
    assert "exclude_columns" in sentences[0]


def test_gaps_that_tell_a_class_are_named() -> None:
    frame = cohort(3)
    leak = np.where(code(frame) == 1, np.nan, RNG.normal(size=N))
    (sentence,) = naming(said(frame.assign(dose=leak)), "dose")
    assert GAPS in sentence


@pytest.mark.parametrize("dtype", ["float64", "object"])
def test_gaps_without_a_pattern_are_no_leak(dtype: str) -> None:
    frame = cohort(2)
    dose = pd.Series(RNG.integers(1, 5, N).astype(float)).mask(RNG.random(N) < 0.5).astype(dtype)
    assert said(frame.assign(dose=dose)) == []


def test_days_in_the_order_of_the_classes_are_named() -> None:
    frame = cohort(2).sort_values("target", ignore_index=True)
    assert naming(said(frame.assign(day=pd.date_range("2020-01-01", periods=N))), "day")


def test_a_constant_column_in_a_sorted_file_tells_nothing() -> None:
    frame = cohort(2).sort_values("target", ignore_index=True)
    assert said(frame.assign(empty=np.nan, same=1, same_text="a", few=np.arange(N) % 3)) == []


def test_a_marker_is_told_of_softly() -> None:
    frame = cohort(2)
    y = code(frame)
    marker = np.where(y == 1, RNG.exponential(3, N) + 4.0, RNG.normal(size=N))
    (sentence,) = said(frame.assign(marker=marker))
    assert SOFT in sentence
    assert "«marker»" in sentence
    assert GIVEN_AWAY not in sentence


def test_many_markers_are_what_the_data_are_like() -> None:
    frame = cohort(2)
    for place in range(10):
        frame[f"gene {place}"] = code(frame) * 50 + RNG.normal(size=N)
    (sentence,) = said(frame)
    assert SOFT in sentence
    assert "and 5 more" in sentence


REGRESSION_DISGUISES: dict[str, Any] = {
    "scaled": lambda y: y * 3 - 2,
    "logarithm": lambda y: np.log(y - y.min() + 1),
    "with noise": lambda y: y + RNG.normal(size=len(y)) * y.std() * 0.01,
    "a square": lambda y: (y - y.mean()) ** 2 * np.sign(y - y.mean()),
    "negative": lambda y: -y,
}


@pytest.mark.parametrize("disguise", REGRESSION_DISGUISES)
def test_the_target_of_a_regression_in_disguise(disguise: str) -> None:
    frame = cohort().drop(columns="target")
    frame["target"] = frame["gene 3"] * 2 + RNG.normal(size=N)
    (sentence,) = said(frame.assign(leak=REGRESSION_DISGUISES[disguise](frame["target"].to_numpy())))
    assert GIVEN_AWAY in sentence
    assert "«leak»" in sentence


def test_text_that_holds_a_rounded_quantity() -> None:
    frame = cohort().drop(columns="target")
    frame["target"] = RNG.integers(0, 12, N) * 1.5
    assert GIVEN_AWAY in said(frame.assign(leak=[f"level {value}" for value in frame["target"]]))[0]


def test_ids_of_patients_are_named_without_groups() -> None:
    frame = cohort()
    patient = np.arange(N) // 4
    for column, values in {
        "patient": patient,
        "PatientID": [f"x{p}" for p in patient],
        "who": [f"TCGA-{p:04d}" for p in patient],
        "donor_id": RNG.permutation(patient),
    }.items():
        (sentence,) = said(frame.assign(**{column: values}))
        assert OWNERS in sentence
        assert f"«{column}»" in sentence
        assert "group_column" in sentence


@pytest.mark.parametrize("group_column", [None, "ward"])
def test_names_of_patients_and_rows_are_no_features_and_numbers_may_be(group_column: str | None) -> None:
    patient = np.arange(N) // 4
    frame = cohort().assign(
        who=[f"TCGA-{p:04d}" for p in patient],
        donor=patient,
        note=[f"row {n}, as written" for n in range(N)],
        kind=np.resize(["a", "b"], N),
        ward=np.arange(N) // 20,
    )
    problem = problem_of(frame, group_column)
    assert names_of_people_and_rows(problem, problem.split().train) == ["who", "note"]


def test_a_patient_that_tells_the_target_is_a_patient() -> None:
    frame = cohort().sort_values("target", ignore_index=True)
    (sentence,) = said(frame.assign(patient=[f"P{i // 4:03d}" for i in range(N)]))
    assert OWNERS in sentence


def test_ordinary_columns_are_no_patients() -> None:
    frame = cohort()
    ordinary = {
        "site": RNG.choice(["Ulm", "Graz", "Bern", "Linz", "Wien", "Genf"], N),
        "age": RNG.integers(20, 90, N),
        "patient age": RNG.normal(50, 9, N),
        "grade": RNG.integers(1, 4, N),
        "reads": RNG.poisson(5000, N),
    }
    assert said(frame.assign(**ordinary)) == []


def test_a_signature_of_groups_is_named_with_groups() -> None:
    frame = cohort()
    patient = np.arange(N) // 5
    frame["signature"] = RNG.permutation(N)[patient] + RNG.normal(size=N) * 0.01
    frame["barcode of donor"] = [f"AC{p * 7}" for p in patient]
    frame["patient"] = [f"P{p}" for p in patient]
    (sentence,) = said(frame, "patient")
    assert TELL_GROUPS in sentence
    assert "«signature», «barcode of donor»" in sentence


@pytest.mark.parametrize(
    "ids",
    [
        np.arange(N) + 1000,
        np.random.default_rng(0).permutation(N),
        [f"{i * 2654435761 % 2**32:08x}" for i in range(N)],
        np.cumsum(np.random.default_rng(1).integers(1, 50, N)),
    ],
    ids=["consecutive", "shuffled", "hashes", "rising"],
)
def test_columns_that_number_the_rows_are_named(ids: Any) -> None:
    (sentence,) = said(cohort().assign(accession=ids))
    assert ROW_IDS in sentence
    assert "«accession»" in sentence


def test_measurements_number_no_rows() -> None:
    measured = {"x": np.sort(RNG.normal(size=N)), "depth": RNG.permutation(10_000_000)[:N], "day": RNG.random(N)}
    assert said(cohort().assign(**measured)) == []


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "wine", "digits", "diabetes"])
def test_real_data_raise_no_alarm(name: str) -> None:
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame["target"] = frame["target"].astype(float if name == "diabetes" else int)
    assert said(frame) == []


@pytest.mark.parametrize("seed", range(8))
def test_noise_raises_no_alarm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(24, 3000)), columns=[f"g{i}" for i in range(3000)])
    assert said(frame.assign(target=rng.permutation(["a", "b"] * 12))) == []
    assert said(frame.assign(target=rng.normal(size=24))) == []


def test_wide_and_long_tables() -> None:
    wide = pd.DataFrame(RNG.normal(size=(200, 20_000)), columns=[f"g{i}" for i in range(20_000)])
    y = np.arange(200) % 2
    leaks = pd.DataFrame({"leak": y * 2.5, "sample no": np.arange(200)})
    sentences = said(pd.concat([wide, leaks], axis="columns").assign(target=y))
    assert [GIVEN_AWAY in sentences[0], ROW_IDS in sentences[1], len(sentences)] == [True, True, 2]


def test_no_sentence_holds_a_value_and_names_are_cut() -> None:
    frame = cohort()
    y = code(frame)
    secret = [f"Jane Doe {label}" for label in y]
    leaks = {f"größe-{i} " + "µ" * 300: secret for i in range(20)}
    (sentence,) = said(frame.assign(**leaks))
    assert "Jane" not in sentence
    assert "and 15 more" in sentence
    assert len(sentence) < 1200


def test_empty_things() -> None:
    frame = cohort()[["target"]].assign(x=np.nan)
    problem = problem_of(frame)
    assert suspicions(problem, problem.split().train) == []
    assert suspicions(problem, np.empty(0, dtype=np.int64)) == []
    assert suspicions(problem_of(cohort()[["target"]]), problem.split().train) == []


def parts_of(n: int) -> Split:
    return Split(np.arange(n // 2), np.arange(n // 2, n * 3 // 4), np.arange(n * 3 // 4, n), "split")


def test_copies_across_the_split_are_counted() -> None:
    frame = cohort().assign(word=RNG.choice(["a", "b", None], N), flag=RNG.random(N) < 0.5, **{"gene 1": np.nan})
    assert duplicates(problem_of(frame), parts_of(N)) == []
    frame.iloc[-3:] = frame.iloc[:3].to_numpy()
    frame.iloc[N // 2] = frame.iloc[0]
    frame = frame.infer_objects()
    frame.loc[N - 1, "target"] = "class 0"
    (sentence,) = duplicates(problem_of(frame), parts_of(N))
    assert sentence.startswith("3 test rows and 1 combination rows have the same features")


def test_one_other_cell_is_no_copy(tmp_path: Path) -> None:
    frame = cohort()
    frame.iloc[-1] = frame.iloc[0]
    frame.loc[N - 1, "gene 7"] += 1e-12
    assert duplicates(problem_of(frame), parts_of(N)) == []


def test_minus_zero_is_zero() -> None:
    frame = cohort()
    frame.loc[0, "gene 7"], frame.loc[N - 1] = 0.0, frame.loc[0]
    frame.loc[N - 1, "gene 7"] = -0.0
    frame.loc[0, "gene 7"] = 0.0
    assert len(duplicates(problem_of(frame), parts_of(N))) == 1


def test_few_columns_of_few_values_have_copies_anyway() -> None:
    frame = pd.DataFrame({"a": RNG.integers(0, 3, N), "b": RNG.integers(0, 2, N), "target": RNG.choice(["x", "y"], N)})
    assert duplicates(problem_of(frame), parts_of(N)) == []
