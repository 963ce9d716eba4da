"""Which format a file has: as told, or by its name."""

from pathlib import PurePosixPath
from typing import Literal, get_args

from events.errors import ReasonCode
from handlers.contract import DatasetFile, JobRefused

Format = Literal["csv", "tsv", "parquet", "feather", "h5ad"]
FORMATS: tuple[Format, ...] = get_args(Format)

_EXTENSIONS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".h5ad": "h5ad",
}


def format_of_name(name: str) -> Format | None:
    """The format that a file name, path or URI speaks of. `.csv.gz` and `.tsv.gz` are text like their inside."""
    path = PurePosixPath(name.partition("?")[0] if "://" in name else name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] == ".gz"
    found = _EXTENSIONS.get(suffixes[-2] if compressed and len(suffixes) > 1 else (suffixes or [""])[-1])
    return found if not compressed or found in ("csv", "tsv") else None


def format_of(dataset: DatasetFile, uri: str = "") -> Format:
    """The dataset's format: what it says, else by the extension of its URI, its path or its name.

    Raises:
        JobRefused: `format_unknown`.
    """
    for known in FORMATS:
        if known == dataset.format:
            return known
    named = (uri, str(dataset.path), dataset.name) if not dataset.format else ()
    for name in named:
        if found := format_of_name(name):
            return found
    raise JobRefused(
        ReasonCode.FORMAT_UNKNOWN,
        f"the file's format is not known: send format ({', '.join(FORMATS)}) or use one of them as the extension",
    )
