"""The profile tells types and gaps, and no value."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from events.errors import ReasonCode
from events.requests import DatasetUploaded
from handlers.contract import DatasetFile, Inputs, JobRefused, Outputs
from handlers.datasets.profile import MOST_COLUMNS, profile_of, run


class Reports:
    def __init__(self) -> None:
        self.percents: list[float] = []

    def __call__(self, percent: float, message: str, **more: object) -> None:
        self.percents.append(percent)

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None: ...


def profile(path: Path, tmp_path: Path, **fields: object) -> object:
    request = DatasetUploaded.model_validate({"dataset_id": "d", "uri": str(path), **fields})
    file = DatasetFile("d", path, "", "ab" * 32)
    return run(request, Inputs(file), Outputs(tmp_path, tmp_path), Reports())


def test_types_and_gaps(tmp_path: Path) -> None:
    n = 60
    frame = pd.DataFrame(
        {
            "count": [*range(n - 1), None],
            "size": np.arange(n) / 7,
            "ill": [True, False] * 30,
            "kind": ["a", "b", None] * 20,
            "note": [f"seen on ward {i}" for i in range(n)],
            "day": [f"2020-01-{1 + i % 28:02}" for i in range(n)],
            "nothing": np.nan,
        }
    )
    frame.to_csv(tmp_path / "data.csv", index=False)
    result = profile(tmp_path / "data.csv", tmp_path)
    found = result.profile  # type: ignore[attr-defined]
    assert (found.format, found.n_rows, found.n_columns, found.n_missing) == ("csv", 60, 7, 81)
    assert [(c.name, c.type, c.missing) for c in found.columns] == [
        ("count", "integer", 1),
        ("size", "number", 0),
        ("ill", "boolean", 0),
        ("kind", "category", 20),
        ("note", "text", 0),
        ("day", "date", 0),
        ("nothing", "empty", 60),
    ]
    assert [c.distinct for c in found.columns] == [59, 60, 2, 2, 60, 28, 0]


def test_only_the_first_columns_of_very_many_are_told() -> None:
    found = profile_of(pd.DataFrame(np.zeros((5, 20_000))), "csv")
    assert (found.n_columns, len(found.columns)) == (20_000, MOST_COLUMNS)


def test_names_that_are_there_twice_are_told_twice() -> None:
    frame = pd.DataFrame([[1, "x"]], columns=["a", "a"])
    assert [(c.name, c.type) for c in profile_of(frame, "csv").columns] == [("a", "integer"), ("a", "category")]


def test_lists_in_a_column_are_no_reason_to_fail() -> None:
    frame = pd.DataFrame({"a": [np.array([1, 2]), np.array([1, 2])]})
    assert profile_of(frame, "parquet").columns[0].distinct == 1


def test_the_format_told_by_the_upload(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("x\ty\n1\t2\n")
    assert profile(tmp_path / "blob", tmp_path, format="tsv").profile.n_columns == 2  # type: ignore[attr-defined]
    with pytest.raises(JobRefused) as refused:
        profile(tmp_path / "blob", tmp_path)
    assert refused.value.reason is ReasonCode.FORMAT_UNKNOWN
