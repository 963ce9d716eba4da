"""CSV and TSV: encoding, separator and decimal sign are found out from the bytes, the header is kept as it is."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from events.errors import ReasonCode
from handlers.contract import JobRefused

from .text_encoding import find_encoding, open_bytes

_SEPARATORS = (",", "\t", ";", "|")
_SAMPLE_LINES = 50
_LENGTHS = "its lines have different numbers of fields, or a quotation mark is left open"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text file is written. `names` has one entry a field, as it stands in the header.

    `nameless` is the place of a field that rows have and the header has not: row names in front, as R writes
    them, or nothing behind a separator at the end of a line.
    """

    encoding: str
    separator: str
    decimal: str
    names: list[str]
    nameless: int | None = None


def read_text(path: Path, separator: str | None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The table in a text file, names unchanged (also double or empty ones).

    Cells that are empty or say NA, NaN, null and the like are missing, as in pandas.

    Raises:
        JobRefused: `file_empty` or `file_unreadable`.
    """
    dialect = find_dialect(path, separator)
    wanted = None if columns is None else set(columns)
    places = [
        place
        for place, name in enumerate(dialect.names)
        if place != dialect.nameless and (wanted is None or name in wanted)
    ]
    try:
        frame = _read(path, dialect, None if wanted is None else places)
    except (pd.errors.ParserError, ValueError, EOFError, OSError) as error:
        raise JobRefused(ReasonCode.FILE_UNREADABLE, f"the table cannot be read: {_cause(error)}") from error
    if not isinstance(frame.index, pd.RangeIndex):  # the first row is longer than the header, and pandas made do
        raise JobRefused(ReasonCode.FILE_UNREADABLE, f"the table cannot be read: {_LENGTHS}")
    frame = frame.loc[:, places]
    frame.columns = pd.Index([dialect.names[place] for place in places], dtype=object)
    return frame


def _read(path: Path, dialect: Dialect, places: list[int] | None) -> pd.DataFrame:
    # Rows that are too long are an error only where all columns are read: asked for some, pandas does not look.
    with open_bytes(path) as file:
        frame: pd.DataFrame = pd.read_csv(
            cast(Any, file),
            sep=dialect.separator,
            encoding=dialect.encoding,
            decimal=dialect.decimal,
            header=0,
            names=range(len(dialect.names)),  # numbers: pandas would rename what is there twice
            usecols=places,
            low_memory=False,  # one type a column, whatever the chunk
        )
    return frame


def find_dialect(path: Path, separator: str | None) -> Dialect:
    """How the file is written: the encoding by all of its bytes, the rest by its first lines.

    Raises:
        JobRefused: `file_empty`, or `file_unreadable` where it is no table.
    """
    encoding = find_encoding(path)
    try:
        with open_bytes(path) as raw, io.TextIOWrapper(cast(Any, raw), encoding=encoding, newline="") as text:
            sample = "".join(line for _, line in zip(range(_SAMPLE_LINES), text, strict=False))
        _refuse_other_languages(sample)
        separator = separator or _separator(sample)
        rows = _rows(sample, separator)
    except (UnicodeError, csv.Error) as error:
        raise JobRefused(ReasonCode.FILE_UNREADABLE, f"the table cannot be read: {_cause(error)}") from error
    if not rows:
        raise JobRefused(ReasonCode.FILE_EMPTY, "the file holds no table: send a header and rows")
    names, nameless = _with_nameless(rows)
    return Dialect(encoding, separator, _decimal(rows, separator), names, nameless)


def _refuse_other_languages(sample: str) -> None:
    start = sample.lstrip()[:200].lower()
    if start.startswith(("<!doctype", "<html", "<?xml")):
        raise JobRefused(
            ReasonCode.FILE_UNREADABLE, "the file is a web page or XML, no table: download the file itself"
        )
    if start.startswith(("{", "[{", "%pdf-")):
        raise JobRefused(ReasonCode.FILE_UNREADABLE, "the file is JSON or PDF, no table: save it as CSV")


def _rows(sample: str, separator: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator) if row]


def _separator(sample: str) -> str:
    """The sign that cuts most lines into the same number of fields, and of such the one with most fields."""

    def fit(candidate: str) -> tuple[float, int]:
        try:
            widths = Counter(len(row) for row in _rows(sample, candidate))
        except csv.Error:  # a wide table, not cut at all, is one field beyond all bounds
            return 0.0, 0
        if not widths:
            return 0.0, 0
        width, lines = widths.most_common(1)[0]
        return (lines / widths.total(), width) if width > 1 else (0.0, 1)

    return max(_SEPARATORS, key=fit)


def _decimal(rows: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    # Where a comma parts no fields, 1,5 is one and a half.
    cells = [cell.strip() for row in rows[1:] for cell in row]
    commas = sum(cell.count(",") == 1 and "." not in cell and _is_number(cell.replace(",", ".")) for cell in cells)
    points = sum("." in cell and _is_number(cell) for cell in cells)
    return "," if commas > points else "."


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _with_nameless(rows: list[list[str]]) -> tuple[list[str], int | None]:
    header, body = rows[0], rows[1:]
    if not body or any(len(row) != len(header) + 1 for row in body):
        return header, None
    if any(row[-1] for row in body):
        return ["", *header], 0
    return [*header, ""], len(header)


def _cause(error: Exception) -> str:
    """What went wrong in our words: a library's may quote a cell."""
    if isinstance(error, UnicodeError):
        return "its encoding is not known, save it as UTF-8"
    if isinstance(error, EOFError | OSError):
        return "it is damaged or ends too early"
    return _LENGTHS
