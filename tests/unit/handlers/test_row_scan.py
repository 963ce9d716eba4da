"""Rows planted into artifacts are found, whatever they are written as; thresholds, medians and vocabularies are not."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.contract import DatasetFile, JobRefused
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.row_scan import refuse_rows

N = 300


def problem_of(frame: pd.DataFrame, folder: Path, **fields: object) -> Problem:
    path = folder / "data.parquet"
    frame.to_parquet(path)
    request = AutomlRequested.model_validate({"dataset_id": "d", "target_column": "target", **fields})
    return load_problem(request, DatasetFile("d", path, "parquet", "ab" * 32))


def cohort(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 6)) * [1, 10, 0.01, 1e5, 1, 3], columns=[f"gene {i}" for i in range(6)])
    frame["ward"] = rng.choice(["north", "south", "west"], n)
    frame["note"] = [f"seen by doctor {i * 37 % 1009} about {word}" for i, word in enumerate(frame["ward"])]
    frame["patient"] = [f"PT{i // 2 * 7:05d}" for i in range(n)]
    frame["target"] = frame["gene 0"] * 3 + rng.normal(size=n)
    return frame


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return problem_of(cohort(), tmp_path_factory.mktemp("cohort"), group_column="patient")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Numbers of few digits: no cell of them says much on its own."""
    data = load_breast_cancer(as_frame=True)
    return problem_of(data.data.assign(target=data.target), tmp_path_factory.mktemp("cancer"))


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    table = np.random.default_rng(1).integers(0, 3, (N, 200))
    frame = pd.DataFrame(table, columns=[f"rs{i}" for i in range(200)])
    return problem_of(frame.assign(target=["a", "b"] * (N // 2)), tmp_path_factory.mktemp("counts"))


def numbers(problem: Problem) -> pd.DataFrame:
    return problem.X.select_dtypes("number")


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, background=array)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/data.bin", content)
    return buffer.getvalue()


def joblibbed(value: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=3)
    return buffer.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def zstd(content: bytes) -> bytes:
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


def refused(folder: Path, problem: Problem, content: bytes) -> JobRefused:
    inner = folder / "model" / "artifacts"
    inner.mkdir(parents=True, exist_ok=True)
    (inner / "model.pkl").write_bytes(b"\x80\x04 something before" + content + b" and something behind.")
    (folder / "model" / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.pyfunc.model}}\n")
    with pytest.raises(JobRefused) as caught:
        refuse_rows(folder / "model", problem)
    assert caught.value.reason is ReasonCode.ROW_IN_ARTIFACT
    assert "«artifacts/model.pkl»" in caught.value.message
    return caught.value


def clean(folder: Path, problem: Problem, content: bytes) -> None:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.pkl").write_bytes(content)
    report = refuse_rows(folder / "model", problem)
    assert report.files >= 1
    assert report.bytes >= len(content)


ONE_ROW: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "float64 in a pickle": lambda row: pickle.dumps({"background": row.to_numpy(dtype=float)}),
    "a pickled list of Python floats": lambda row: pickle.dumps(row.to_numpy(dtype=float).ravel().tolist()),
    "float32 as npy": lambda row: npy(row.to_numpy(dtype=np.float32)),
    "big-endian": lambda row: npy(row.to_numpy(dtype=">f8")),
    "CSV": lambda row: row.to_csv(index=False).encode(),
    "CSV of six digits": lambda row: row.to_csv(index=False, header=False, float_format="%.6g").encode(),
    "JSON by column": lambda row: row.to_json(orient="split", double_precision=15).encode(),
    "npz": lambda row: npz(row.to_numpy(dtype=float)),
    "gzip": lambda row: gzip.compress(npy(row.to_numpy(dtype=float))),
    "zlib in a pickle in a zip": lambda row: zipped(pickle.dumps(zlib.compress(npy(row.to_numpy(dtype=float))))),
    "bz2": lambda row: bz2.compress(pickle.dumps(row)),
    "xz": lambda row: lzma.compress(pickle.dumps(row)),
    "zstd": lambda row: zstd(pickle.dumps(row)),
    "joblib": lambda row: joblibbed(row.to_numpy(dtype=float)),
}


@pytest.mark.parametrize("how", ONE_ROW)
def test_a_single_row_is_found(problem: Problem, tmp_path: Path, how: str) -> None:
    error = refused(tmp_path, problem, ONE_ROW[how](numbers(problem).iloc[[123]]))
    assert "«gene " in error.message
    assert not any(str(value)[:5] in error.message for value in numbers(problem).iloc[123])


@pytest.mark.parametrize("how", [how for how in ONE_ROW if how != "a pickled list of Python floats"])
def test_a_single_row_of_few_digits_is_found(measured: Problem, tmp_path: Path, how: str) -> None:
    refused(tmp_path, measured, ONE_ROW[how](measured.X.iloc[[7]]))


@pytest.mark.parametrize("dtype", ["i1", "<i4", "<i8", ">i8", "<f4", "<f8"])
def test_a_single_row_of_small_whole_numbers_is_found(counts: Problem, tmp_path: Path, dtype: str) -> None:
    refused(tmp_path, counts, npy(counts.X.iloc[[31]].to_numpy().astype(dtype)))


def test_every_row_is_looked_for(problem: Problem, tmp_path: Path) -> None:
    missed = []
    (tmp_path / "model").mkdir()
    for place in range(0, N, 29):
        (tmp_path / "model" / "row.npy").write_bytes(npy(numbers(problem).iloc[place].to_numpy()))
        try:
            refuse_rows(tmp_path / "model", problem)
        except JobRefused:
            continue
        missed.append(place)
    assert missed == []


def test_twenty_rows_among_a_hundred_thousand_are_found(tmp_path: Path) -> None:
    large = problem_of(cohort(100_000).drop(columns=["note", "patient"]), tmp_path)
    rows = numbers(large).sample(20, random_state=0).to_numpy()
    refused(tmp_path, large, pickle.dumps(np.asfortranarray(rows)))


def test_a_table_is_found_column_by_column_and_shuffled(measured: Problem, tmp_path: Path) -> None:
    shuffled = measured.X.sample(frac=0.6, random_state=0).to_numpy()
    refused(tmp_path, measured, pickle.dumps(np.asfortranarray(shuffled)))
    refused(tmp_path, measured, npy(np.asfortranarray(shuffled, dtype=np.float32)))


@pytest.mark.parametrize("dtype", ["<i8", "<i4", "<f8", "<f4"])
def test_a_table_of_counts_is_found_column_by_column_and_shuffled(tmp_path: Path, dtype: str) -> None:
    reads = np.random.default_rng(0).negative_binomial(1, 0.001, (N, 20))
    found = problem_of(pd.DataFrame(reads).add_prefix("gene ").assign(target=["a", "b"] * (N // 2)), tmp_path)
    shuffled = found.X.sample(frac=0.6, random_state=0).to_numpy()
    refused(tmp_path, found, npy(np.asfortranarray(shuffled.astype(dtype))))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sorted_column_is_found(problem: Problem, tmp_path: Path, dtype: Any) -> None:
    train = problem.split().train
    quantiles = np.sort(problem.X["gene 4"].to_numpy()[train])
    assert "«gene 4»" in refused(tmp_path, problem, npy(quantiles.astype(dtype))).message


def test_sorted_columns_side_by_side_are_found(problem: Problem, tmp_path: Path) -> None:
    refused(tmp_path, problem, pickle.dumps(np.sort(numbers(problem).to_numpy()[problem.split().train], axis=0)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_target_of_a_regression_is_found(problem: Problem, tmp_path: Path, dtype: Any) -> None:
    leaves = np.random.default_rng(0).permutation(problem.y)[:150].astype(dtype)
    assert "«target»" in refused(tmp_path, problem, npy(leaves)).message


def test_group_ids_are_found(problem: Problem, tmp_path: Path) -> None:
    assert problem.groups is not None
    ids = problem.groups.unique()[:5].tolist()
    for content in (pickle.dumps(ids), json.dumps({"ids": ids}).encode(), ",".join(ids).encode()):
        assert "«patient»" in refused(tmp_path, problem, content).message


def test_free_text_is_found(problem: Problem, tmp_path: Path) -> None:
    assert "«note»" in refused(tmp_path, problem, pickle.dumps(problem.X["note"].tolist()[40:45])).message


def test_text_beyond_ascii_is_found_as_json(tmp_path: Path) -> None:
    frame = cohort().assign(note=[f"Übelkeit am Tag {i}, Größe {i * 3}" for i in range(N)])
    found = problem_of(frame, tmp_path)
    refused(tmp_path, found, json.dumps(found.X["note"].tolist()[:4]).encode())
    refused(tmp_path, found, json.dumps(found.X["note"].tolist()[:4], ensure_ascii=False).encode())


def test_dates_are_found(tmp_path: Path) -> None:
    day = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.random.default_rng(0).integers(0, 10**8, N), unit="s")
    found = problem_of(cohort().assign(day=day), tmp_path)
    assert "«day»" in refused(tmp_path, found, found.X["day"].astype(str).str.cat(sep=" ").encode()).message
    stamps = found.X["day"].sample(60, random_state=0).astype("datetime64[ns]").astype("int64").to_numpy()
    assert "«day»" in refused(tmp_path, found, npy(stamps)).message


def test_ids_that_are_numbers_are_found(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).permutation(10**7)[:N] + 10**7
    found = problem_of(cohort().assign(accession=ids), tmp_path)
    for content in (npy(ids[20:40]), json.dumps(ids[20:40].tolist()).encode(), npy(np.sort(ids).astype(np.int32))):
        assert "«accession»" in refused(tmp_path, found, content).message


def test_thresholds_of_large_whole_numbers_are_allowed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    reads = pd.DataFrame(rng.integers(10**5, 2 * 10**5, (600, 8)) * 2, columns=[f"reads {i}" for i in range(8)])
    found = problem_of(reads.assign(target=rng.choice(["a", "b"], 600)), tmp_path)
    forest = RandomForestClassifier(100, random_state=0).fit(found.X, found.y)
    clean(tmp_path, found, pickle.dumps(forest))


def test_what_a_model_needs_is_allowed(problem: Problem, tmp_path: Path) -> None:
    table = numbers(problem)
    needed = {
        "medians": table.median().to_numpy(),
        "means": table.mean().to_numpy(),
        "scales": table.std().to_numpy(),
        "quartiles": table.quantile([0.25, 0.75]).to_numpy(),
        "columns": list(problem.X.columns),
        "ward": problem.X["ward"].unique().tolist(),
        "half": [(a + b) / 2 for column in table for a, b in [np.sort(table[column].to_numpy())[[50, 51]]]],
    }
    clean(tmp_path, problem, pickle.dumps(needed))
    clean(tmp_path, problem, json.dumps(needed, default=np.ndarray.tolist).encode())


def test_a_median_of_each_of_many_columns_is_allowed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    wide = pd.DataFrame(rng.normal(size=(61, 1500)), columns=[f"g{i}" for i in range(1500)])
    found = problem_of(wide.assign(target=rng.permutation(["a", "b"] * 30 + ["a"])), tmp_path)
    train = found.split().train
    for rows in (train, train[::2], train[:-9]):
        clean(tmp_path, found, npy(found.X.iloc[rows].median().to_numpy()))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_forest_holds_thresholds_and_no_rows(measured: Problem, tmp_path: Path, dtype: Any) -> None:
    forest = RandomForestClassifier(100, random_state=0).fit(measured.X.astype(dtype), measured.y)
    clean(tmp_path, measured, pickle.dumps(forest))


@pytest.mark.parametrize("seed", range(5))
def test_noise_like_the_data_is_no_row(problem: Problem, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = numbers(problem).to_numpy()
    clean(tmp_path, problem, (table[rng.integers(0, N, 50_000), 0] + rng.normal(size=50_000) * 1e-3).tobytes())
    clean(tmp_path, problem, rng.bytes(2_000_000))


def test_zeros_ones_and_ranges_are_no_rows(
    problem: Problem, measured: Problem, counts: Problem, tmp_path: Path
) -> None:
    frame = cohort().assign(reads=np.random.default_rng(0).integers(0, 10**5, N), day=pd.Timestamp("2021-03-01"))
    mixed = problem_of(frame.assign(depth=frame["reads"].to_numpy()[::-1]), tmp_path)
    (tmp_path / "model").mkdir()
    for dtype in ("u1", "<i4", "<i8", "<f4", "<f8", ">f8"):
        for n in (1, 40, 3000):
            arrays = np.zeros(n), np.ones(n), np.arange(n) % 200
            for place, array in enumerate(arrays):
                (tmp_path / "model" / f"{dtype[-2:]}-{n}-{place}").write_bytes(array.astype(dtype).tobytes())
    for found in (problem, measured, counts, mixed):
        assert refuse_rows(tmp_path / "model", found).files == 45


def test_empty_things(problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "empty.bin").touch()
    report = refuse_rows(tmp_path / "model", problem)
    assert (report.files, report.bytes) == (1, 0)
    words_only = problem_of(pd.DataFrame({"a": ["x", "y"] * 30, "target": ["p", "q"] * 30}), tmp_path)
    assert refuse_rows(tmp_path / "model", words_only).cells == 0


def test_the_report_tells_what_was_looked_for(problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nothing of that kind in here")
    record = refuse_rows(tmp_path, problem).as_record()
    assert json.loads(json.dumps(record)) == record
    assert record["rows"] == N
    assert min(record[name] for name in ("cells", "runs", "words")) > N


@pytest.mark.parametrize("scale", [1e300, 1e30, 1e-50])
def test_cells_beyond_float32_and_whole_numbers_are_not_found_in_zeros(tmp_path: Path, scale: float) -> None:
    """What cannot be written in a width has no bytes there: zeros in a file are none of its cells."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 4)) * [scale, 1, 1, 1], columns=list("abcd"))
    problem = problem_of(frame.assign(target=rng.normal(size=80)), tmp_path)
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "weights").write_bytes(bytes(4000) + rng.normal(size=500).astype("f4").tobytes())
    refuse_rows(artifact, problem)
    (artifact / "weights").write_bytes(frame.to_numpy().tobytes())
    with pytest.raises(JobRefused):
        refuse_rows(artifact, problem)
