"""Files that can be read and are no tables to learn from, and names that speak of a format."""

from pathlib import Path

import pandas as pd
import pytest

from events.requests import DatasetUploaded
from handlers.contract import DatasetFile, Inputs, JobRefused, Outputs
from handlers.datasets.formats import format_of_name
from handlers.datasets.profile import run
from handlers.datasets.reading import read_table


def test_cells_that_hold_lists_or_bytes_are_refused_by_the_name_of_their_column(tmp_path: Path) -> None:
    path = tmp_path / "nested.parquet"
    pd.DataFrame({"gene": [1.0, 2.0], "calls": [[1], [2]], "raw": [b"a", b"b"]}).to_parquet(path)
    with pytest.raises(JobRefused, match=r"calls.*raw") as refused:
        read_table(DatasetFile("d", path, "parquet", "0" * 64))
    assert refused.value.reason == "file_unreadable"


def test_a_column_name_that_no_text_may_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "names.parquet"
    pd.DataFrame({"good": [1.0], "a\0b": [2.0]}).to_parquet(path)
    inputs = Inputs(dataset=DatasetFile("d", path, "parquet", "0" * 64))
    request = DatasetUploaded(dataset_id="d", uri=str(path))
    with pytest.raises(JobRefused, match="column 2"):
        run(request, inputs, Outputs(tmp_path, tmp_path), lambda *_, **__: None)  # type: ignore[arg-type]


def test_text_in_utf_32_is_not_taken_for_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes("gene,outcome\n1,a\n2,b\n".encode("utf-32"))
    assert list(read_table(DatasetFile("d", path, "csv", "0" * 64)).columns) == ["gene", "outcome"]


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("s3://bucket/a.csv.gz", "csv"),
        ("/data/a.tab", "tsv"),
        ("file:///data/a.pq", "parquet"),
        ("file://[::1/good.csv", "csv"),
        ("a.parquet.gz", None),
    ],
)
def test_names_speak_of_formats(name: str, format_name: str | None) -> None:
    assert format_of_name(name) == format_name
