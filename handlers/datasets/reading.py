"""From a file to a table, whatever the format."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from events.errors import ReasonCode
from handlers.contract import DatasetFile, JobRefused

from .binary_tables import annotations, read_feather, read_h5ad, read_parquet
from .formats import Format, format_of
from .text_tables import read_text

Reader = Callable[[Path, Sequence[str] | None], pd.DataFrame]

_READERS: dict[Format, Reader] = {
    "csv": lambda path, columns: read_text(path, None, columns),
    "tsv": lambda path, columns: read_text(path, "\t", columns),
    "parquet": read_parquet,
    "feather": read_feather,
    "h5ad": read_h5ad,
}


def read_table(dataset: DatasetFile, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The dataset as a frame with rows numbered 0..n-1 and the header's own names, also where one is there twice.

    `columns` reads only those (all of a name that is there twice; names that are not there are passed over).

    Raises:
        JobRefused: `file_missing`, `file_empty`, `file_unreadable` or `format_unknown`.
    """
    if not dataset.path.is_file():
        raise JobRefused(ReasonCode.FILE_MISSING, "the dataset's file is not there: upload it again")
    if dataset.path.stat().st_size == 0:
        raise JobRefused(ReasonCode.FILE_EMPTY, "the file is empty: send a header and rows")
    frame = _READERS[format_of(dataset)](dataset.path, columns)
    if columns is None and (frame.shape[0] == 0 or frame.shape[1] == 0):
        raise JobRefused(ReasonCode.FILE_EMPTY, "the file holds no rows below its header: send at least one")
    return frame


def annotation_columns(dataset: DatasetFile) -> frozenset[str]:
    """Columns that describe samples and are no measurements: obs of AnnData. Elsewhere nothing tells them apart."""
    return annotations(dataset.path) if format_of(dataset) == "h5ad" else frozenset()
