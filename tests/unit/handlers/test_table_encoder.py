"""A table as numbers: the same for a table written otherwise, told again from JSON, and silent about rows."""

import json

import numpy as np
import pandas as pd
import pytest

from handlers.networks.table import TableEncoder


def patients(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "größe": rng.normal(size=n),
            "count": np.arange(n),
            "ja": rng.random(n) < 0.5,
            "基因": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "grade": pd.Categorical(rng.choice([1, 2, 3], n)),
            "id": [f"patient {i}" for i in range(n)],
            "day": pd.date_range("2020-01-01", periods=n),
            "empty": np.full(n, np.nan),
        }
    )
    frame.loc[::3, "größe"], frame.loc[::4, "基因"], frame.loc[::5, "day"] = np.nan, None, pd.NaT
    return frame


def again(encoder: TableEncoder) -> TableEncoder:
    return TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))


def test_it_is_the_same_once_told_and_read() -> None:
    frame = patients()
    encoder = TableEncoder().fit(frame)
    read = again(encoder)
    assert read.names == encoder.names
    assert read.columns == [name for name in frame if name != "id"]
    assert (read.transform(frame) == encoder.transform(frame)).all()
    assert encoder.names[:5] == ["größe", "count", "ja", "day", "empty"]
    assert sorted(encoder.names[5:]) == ["grade=1", "grade=2", "grade=3", "基因=a", "基因=b", "基因=c"]


def test_no_value_of_a_single_row_is_told() -> None:
    told = json.dumps(TableEncoder().fit(patients()).to_dict(), ensure_ascii=False)
    assert "patient" not in told
    assert "基因" in told


def test_a_table_may_be_written_otherwise() -> None:
    frame = patients()
    encoder = TableEncoder().fit(frame)
    expected = encoder.transform(frame)
    other = frame[frame.columns[::-1]].assign(more="x").drop(columns="id")
    assert (encoder.transform(other) == expected).all()
    loose = frame.assign(
        count=frame["count"].astype(float),
        ja=frame["ja"].astype(object),
        grade=frame["grade"].astype(float),
        day=frame["day"].dt.strftime("%Y-%m-%d").where(frame["day"].notna(), None),
        größe=[None if np.isnan(value) else repr(value) for value in frame["größe"]],
        empty=None,
    )
    # Pandas reads a number from text to within its last digit.
    np.testing.assert_allclose(encoder.transform(loose), expected, rtol=1e-14)


def test_gaps_and_unseen_categories() -> None:
    train = pd.DataFrame({"a": [1.0, 3.0, np.inf, 5.0], "b": ["x", "x", "y", "y"], "c": ["u", "v", "w", "z"]})
    other = pd.DataFrame({"a": [None, -np.inf, 7], "b": ["z", None, "x"], "c": ["u", "u", "u"]})
    assert TableEncoder().fit(train).transform(other).tolist() == [[3, 0, 0], [3, 0, 0], [7, 1, 0]]


def test_whole_numbers_that_became_floats_are_the_same_category() -> None:
    train = pd.DataFrame({"stage": pd.Series([1, 2, 1, 2, "x", "x"], dtype=object)})
    other = pd.DataFrame({"stage": [2.0, np.nan]})
    encoder = TableEncoder().fit(train)
    assert encoder.names == ["stage=1", "stage=2", "stage=x"]
    assert encoder.transform(other).tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("n", [1, 2, 7, 700])
def test_gaps_take_the_middle_of_the_numbers_that_are_there_and_no_number_itself(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.normal(size=(n, 30))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 0] = np.nan
    found = TableEncoder().fit(pd.DataFrame(values)).transform(pd.DataFrame(np.full((1, 30), np.nan)))[0]
    for middle, column in zip(found, values.T, strict=True):
        there = np.sort(column[~np.isnan(column)])
        if len(there) < 2:
            assert middle == 0
            continue
        assert middle not in there
        below, above = (there < middle).sum(), (there > middle).sum()
        assert abs(int(below) - int(above)) <= 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda frame: frame.drop(columns=["ja", "基因"]), "lacks 2 of the 7 columns: 'ja', '基因'"),
        (lambda frame: pd.concat([frame, frame[["ja"]]], axis="columns"), "more than one column called 'ja'"),
        (lambda frame: frame.assign(größe="SECRET"), "'größe' holds something else than numbers"),
        (lambda frame: frame.assign(größe=pd.Series(["1.5", "SECRET"] * 20)), "something else than numbers"),
        (lambda frame: frame.assign(day="SECRET"), "'day' holds something else than dates"),
        (lambda frame: frame.assign(day=5.0), "'day' holds something else than dates"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(changed: object, words: str) -> None:
    frame = patients()
    encoder = TableEncoder().fit(frame)
    with pytest.raises(ValueError, match=words) as refused:
        encoder.transform(changed(frame))  # type: ignore[operator]
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_tables_without_rows_or_without_a_use() -> None:
    encoder = TableEncoder().fit(patients())
    assert encoder.transform(patients()[:0]).shape == (0, 11)
    for useless in (pd.DataFrame({"id": list("abc")}), pd.DataFrame(index=range(3))):
        with pytest.raises(ValueError, match="no column can be used"):
            TableEncoder().fit(useless)
    with pytest.raises(ValueError, match="same name"):
        TableEncoder().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_text_alone_is_enough() -> None:
    encoder = TableEncoder().fit(pd.DataFrame({"b": ["x", "x", "y"]}))
    assert encoder.transform(pd.DataFrame({"b": ["y", "x"]})).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    "told",
    [
        {},
        [],
        {"columns": ["a"], "kinds": ["number"], "middles": [], "categories": []},
        {"columns": ["a"], "kinds": ["picture"], "middles": [], "categories": [[]]},
        {"columns": ["a"], "kinds": ["number"], "middles": ["x"], "categories": []},
        {"columns": ["a"], "kinds": ["number"], "middles": [[1.0]], "categories": []},
        {"columns": None, "kinds": [], "middles": [], "categories": []},
    ],
)
def test_foreign_json_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match=r"table encoder|could not convert"):
        TableEncoder.from_dict(told)  # type: ignore[arg-type]


def test_as_many_columns_as_genes() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 20_000))).add_prefix("gene ")
    encoder = again(TableEncoder().fit(X))
    assert (encoder.transform(X[X.columns[::-1]]) == X.to_numpy()).all()
