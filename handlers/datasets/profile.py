"""A look into an uploaded file: how many rows and columns, of which types, with how many gaps."""

from typing import Any

import pandas as pd
from pandas.api import types

from events.errors import ReasonCode
from events.outcomes import ColumnProfile
from events.requests import DatasetUploaded
from handlers.contract import DatasetFile, DatasetProfile, Inputs, JobRefused, Outputs, Report, Result

from .formats import format_of
from .reading import read_table

MOST_COLUMNS = 1000
#: Text with more distinct values than this share of its rows is no category.
_CATEGORY_SHARE = 0.5
_FEWEST_FOR_TEXT = 20


def run(request: DatasetUploaded, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Reads the whole file and describes it. No message and no profile holds a value of a row.

    Raises:
        JobRefused: `file_missing`, `file_empty`, `file_unreadable` or `format_unknown`.
    """
    if inputs.dataset is None:
        raise JobRefused(ReasonCode.FILE_MISSING, "the upload names no file")
    given = inputs.dataset
    told = request.format or given.format
    known = DatasetFile(given.dataset_id, given.path, told, given.sha256, given.name)
    file = DatasetFile(given.dataset_id, given.path, format_of(known, request.uri), given.sha256, given.name)
    report(0, "Reading the file")
    frame = read_table(file)
    _refuse_names(frame)
    report(70, "Looking at its columns")
    profile = profile_of(frame, file.format)
    return Result(summary=f"{profile.n_rows} rows and {profile.n_columns} columns", profile=profile)


def _refuse_names(frame: pd.DataFrame) -> None:
    bad = [place for place, name in enumerate(map(str, frame.columns), start=1) if "\0" in name or not _is_utf8(name)]
    if bad:
        raise JobRefused(
            ReasonCode.FILE_UNREADABLE,
            f"the name of column {bad[0]} holds characters that no text may hold (U+0000, halves of pairs): rename it",
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def profile_of(frame: pd.DataFrame, format_name: str) -> DatasetProfile:
    """The profile of a frame whose column names need not be unique."""
    first = range(min(MOST_COLUMNS, frame.shape[1]))
    return DatasetProfile(
        format=format_name,
        n_rows=frame.shape[0],
        n_columns=frame.shape[1],
        n_missing=int(frame.isna().to_numpy().sum()),
        columns=[_column(str(frame.columns[i]), frame.iloc[:, i]) for i in first],
    )


def _column(name: str, values: "pd.Series[Any]") -> ColumnProfile:
    known = values.dropna()
    # What Arrow nests (lists, structs) cannot be hashed: its text can.
    known = known.astype(str) if known.dtype == object else known
    distinct = int(known.nunique())
    return ColumnProfile(
        name=name,
        type=_type(values, known, distinct),
        missing=len(values) - len(known),
        distinct=distinct,
    )


def _type(values: "pd.Series[Any]", known: "pd.Series[Any]", distinct: int) -> Any:
    """One of ColumnProfile's types. Whole numbers with gaps are integers, although pandas reads them as floats."""
    if known.empty:
        return "empty"
    if types.is_bool_dtype(values.dtype) or set(known.unique()[:3]) <= {"True", "False"}:
        return "boolean"
    if types.is_integer_dtype(values.dtype):
        return "integer"
    if types.is_numeric_dtype(values.dtype):
        return "integer" if len(known) < len(values) and (known % 1 == 0).all() else "number"
    if types.is_datetime64_any_dtype(values.dtype) or _is_dates(known):
        return "date"
    is_category = isinstance(values.dtype, pd.CategoricalDtype)
    few = distinct <= max(_FEWEST_FOR_TEXT, _CATEGORY_SHARE * len(known))
    return "category" if is_category or few else "text"


def _is_dates(known: "pd.Series[Any]") -> bool:
    # ISO dates only: whether 01/02/03 is one is anybody's guess.
    sample = known.iloc[:100].astype(str)
    if not sample.str.match(r"\d{4}-\d{2}-\d{2}([T ]|$)").all():
        return False
    return bool(pd.to_datetime(sample, errors="coerce", format="ISO8601").notna().all())
