"""Reading: whatever people's files look like, the same table comes out; whatever is no table is refused."""

import gzip
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from events.errors import ReasonCode
from handlers.contract import DatasetFile, JobRefused
from handlers.datasets.formats import format_of, format_of_name
from handlers.datasets.reading import annotation_columns, read_table

SECRET = "Jane Doe"  # a cell's value that no message may hold


def dataset(path: Path, format_name: str = "") -> DatasetFile:
    return DatasetFile("d", path, format_name, "ab" * 32)


def written(tmp_path: Path, data: bytes | str, name: str = "data.csv") -> DatasetFile:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return dataset(path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_out(tmp_path: Path, separator: str) -> None:
    lines = ["name,x,y", '"a; b|c, d",1.5,2', "e,3,4"]
    text = "\n".join(lines).replace("name,x,y", separator.join(("name", "x", "y")))
    text = text.replace('",1.5,2', separator.join(('"', "1.5", "2"))).replace("e,3,4", separator.join(("e", "3", "4")))
    frame = read_table(written(tmp_path, text))
    assert frame.columns.tolist() == ["name", "x", "y"]
    assert frame["name"].tolist() == ["a; b|c, d", "e"]
    assert frame["x"].tolist() == [1.5, 3.0]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"], ids=["utf-8", "with-bom", "utf-16", "windows"]
)
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    rows = "\n".join(f"Größe {i},Übelkeit und Schwäche,{i}" for i in range(20))
    frame = read_table(written(tmp_path, f"Maß,Befund,Höhe\n{rows}\n".encode(encoding)))
    assert frame.columns.tolist() == ["Maß", "Befund", "Höhe"]
    assert frame["Befund"].unique().tolist() == ["Übelkeit und Schwäche"]


def test_a_letter_beyond_the_first_chunk_counts_too(tmp_path: Path) -> None:
    text = "x,y\n" + "1,2\n" * 100_000 + "1,é\n"
    assert read_table(written(tmp_path, text))["y"].iloc[-1] == "é"


def test_decimal_commas(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "x;y\n1,5;a\n2,25;b\n"))["x"].tolist() == [1.5, 2.25]


def test_windows_and_old_mac_line_ends(tmp_path: Path) -> None:
    for end in ("\r\n", "\r"):
        assert read_table(written(tmp_path, end.join(("x,y", "1,2", "3,4", "")))).to_numpy().tolist() == [
            [1, 2],
            [3, 4],
        ]


def test_the_header_is_kept_as_it_is(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, "a,a, b,,a.1\n1,2,3,4,5\n"))
    assert frame.columns.tolist() == ["a", "a", " b", "", "a.1"]
    assert frame.to_numpy().tolist() == [[1, 2, 3, 4, 5]]


def test_row_names_as_r_writes_them_are_left_out(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, '"x"\t"y"\n"row1"\t1\t2\n"row2"\t3\t4\n', "data.tsv"))
    assert frame.columns.tolist() == ["x", "y"]
    assert frame.to_numpy().tolist() == [[1, 2], [3, 4]]


def test_a_separator_at_the_end_of_each_line_shifts_nothing(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "x,y\n1,2,\n3,4,\n")).to_numpy().tolist() == [[1, 2], [3, 4]]


def test_packed_text(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, gzip.compress(b"x\ty\n1\t2\n"), "data.tsv.gz"))["y"].tolist() == [2]


def test_only_some_columns(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "a,b,a,c\n1,2,3,4\n"), ["c", "a", "zz"]).columns.tolist() == ["a", "a", "c"]


def test_a_wide_table_is_one_table(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(30, 20_000)).round(3)
    path = tmp_path / "wide.csv"
    pd.DataFrame(values, columns=[f"gène {i}" for i in range(20_000)]).to_csv(path, index=False)
    frame = read_table(dataset(path))
    assert frame.shape == (30, 20_000)
    assert frame.iloc[7, 19_999] == values[7, 19_999]


@pytest.mark.parametrize("name", ["data.parquet", "data.feather"])
def test_columnar_files(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"größe": [1.5, None], "c": pd.Categorical(["a", "b"]), "d": [True, False]}, index=[7, 8])
    if name.endswith("parquet"):
        frame.to_parquet(tmp_path / name)
    else:
        frame.reset_index(drop=True).to_feather(tmp_path / name)
    found = read_table(dataset(tmp_path / name))
    assert found.columns.tolist() == ["größe", "c", "d"]
    assert found.index.tolist() == [0, 1]
    assert isinstance(found["c"].dtype, pd.CategoricalDtype)
    assert read_table(dataset(tmp_path / name), ["d"]).columns.tolist() == ["d"]


def test_parquet_with_a_name_that_is_there_twice(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    table = arrow.Table.from_arrays([arrow.array([1, 2]), arrow.array([3, 4])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "data.parquet")
    assert read_table(dataset(tmp_path / "data.parquet")).columns.tolist() == ["a", "a"]


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix], ids=["dense", "csr", "csc"])
def test_anndata(tmp_path: Path, kind: object) -> None:
    values = np.array([[0, 1, 2], [3, 0, 0]], dtype=np.float32)
    obs = pd.DataFrame({"cell_type": pd.Categorical(["B", "T"])}, index=["cell1", "cell2"])
    var = pd.DataFrame(index=["CD4", "CD8A", "MS4A1"])
    anndata.AnnData(kind(values), obs=obs, var=var).write_h5ad(tmp_path / "data.h5ad")
    found = dataset(tmp_path / "data.h5ad")
    frame = read_table(found)
    assert frame.columns.tolist() == ["cell_type", "CD4", "CD8A", "MS4A1"]
    assert frame[["CD4", "CD8A", "MS4A1"]].to_numpy().tolist() == values.tolist()
    assert annotation_columns(found) == {"cell_type"}
    assert read_table(found, ["CD8A"]).columns.tolist() == ["CD8A"]


PARQUET = pd.DataFrame({"x": range(1000), "who": SECRET}).to_parquet()
NOISE = np.random.default_rng(0).bytes(5000)
REFUSED = {
    "nothing": ("data.csv", b"", ReasonCode.FILE_EMPTY),
    "blank lines": ("data.csv", b"\n\n  \n", ReasonCode.FILE_EMPTY),
    "a header alone": ("data.csv", b"x,y\n", ReasonCode.FILE_EMPTY),
    "cut parquet": ("data.parquet", PARQUET[:-200], ReasonCode.FILE_UNREADABLE),
    "cut feather": ("data.feather", b"ARROW1\0\0" + NOISE, ReasonCode.FILE_UNREADABLE),
    "cut h5ad": ("data.h5ad", b"\x89HDF\r\n\x1a\n" + NOISE, ReasonCode.FILE_UNREADABLE),
    "cut gzip": ("data.csv.gz", gzip.compress(NOISE)[:2000], ReasonCode.FILE_UNREADABLE),
    "random bytes": ("data.csv", NOISE, ReasonCode.FILE_UNREADABLE),
    "parquet called csv": ("data.csv", PARQUET, ReasonCode.FILE_UNREADABLE),
    "csv called parquet": ("data.parquet", b"x,y\n1,2\n", ReasonCode.FILE_UNREADABLE),
    "a web page": ("data.csv", b"<!DOCTYPE html>\n<html><body>Log in</body></html>", ReasonCode.FILE_UNREADABLE),
    "json": ("data.csv", b'[{"x": 1},\n{"x": 2}]', ReasonCode.FILE_UNREADABLE),
    "rows too long": ("data.csv", f"x,y\n1,2\n{SECRET},3,4,5,6\n".encode(), ReasonCode.FILE_UNREADABLE),
    "a first row too long": ("data.csv", f"x,y\n{SECRET},3,4,5,6\n1,2\n".encode(), ReasonCode.FILE_UNREADABLE),
    "no known format": ("data.xlsx", b"PK\x03\x04", ReasonCode.FORMAT_UNKNOWN),
    "no file": ("", b"", ReasonCode.FILE_MISSING),
}


@pytest.mark.parametrize(("name", "data", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, data: bytes, reason: ReasonCode) -> None:
    file = written(tmp_path, data, name) if name else dataset(tmp_path / "nowhere.csv")
    with pytest.raises(JobRefused) as refused:
        read_table(file)
    assert refused.value.reason is reason
    assert SECRET not in refused.value.message
    assert str(tmp_path) not in refused.value.message


def test_the_format_by_name() -> None:
    names = ["a.csv", "A.TSV", "b.tab", "s3://bucket/x/y.parquet?version=1", "a.b.feather", "x.h5ad", "y.csv.gz"]
    assert [format_of_name(n) for n in names] == ["csv", "tsv", "tsv", "parquet", "feather", "h5ad", "csv"]
    assert [format_of_name(n) for n in ("a", "a.txt", "a.parquet.gz", ".csv/x")] == [None] * 4


def test_a_told_format_wins_over_the_name(tmp_path: Path) -> None:
    assert format_of(dataset(tmp_path / "x.csv", "tsv")) == "tsv"
    assert format_of(dataset(tmp_path / "blob"), "file:///data/x.parquet") == "parquet"
    with pytest.raises(JobRefused):
        format_of(dataset(tmp_path / "x.csv", "xlsx"))
