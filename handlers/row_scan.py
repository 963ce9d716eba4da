"""No row of a dataset leaves in an artifact: every file of it is searched for the dataset's cells.

What is looked for, in the bytes of every file and of whatever is packed in it (zip, gzip, zlib, bz2, xz, zstd,
Parquet), wherever it stands and in whatever layout:

- telling cells (see `scanning.cells`) as float64 or whole numbers of eight bytes in both byte orders, or as text
  that says them in full; of the target of regressions too;
- runs of neighbouring cells of a row, or of a column in the file's, the training rows' or sorted order (see
  `scanning.runs`), as float64, float32, whole numbers of 8, 4 or 1 bytes, or text with six digits or more;
- pairs of neighbouring cells of a row at one distance, as a table puts them in any layout, whatever the order of
  its rows (see `scanning.strides`), as float64, float32 and whole numbers of 8 or 4 bytes;
- words (see `scanning.words`): ids, group values, free text.

The rule. A file is refused that holds

1. one run (44 bits of surprise at least), or
2. telling cells of one row in three columns, or in as many more as chance does not explain: with h cells seen in
   n rows, a row with c of them is expected less than 10⁻⁶ times under a Poisson law of mean h/n, or
3. a fiftieth of a column's telling cells, eight at least, or half of the float32 values of a sample of 200 rows,
   twenty at least, and four times as many as of decoys beside them, or half of a coarse column's distinct values
   of four or five digits, thirty at least, or
4. pairs of cells at one distance from each other, twenty at least and a hundredth of those looked for, or
5. three words.

Never looked for, since models need or may hold them: classes, categories that stand in two rows or more, column
names, cells around the median. Not found: whole numbers below 256 whose rows are shuffled and lie column by
column, a single column of few digits that is neither sorted nor in order, numbers rounded below six digits, base64,
what was computed of a cell. Of more than 100,000 rows evenly many are looked for, of more than 600,000 cells blocks
of neighbouring columns.

Measured. Missed: of single rows planted as float64, float32, CSV, CSV of six digits and JSON (60 of each in each of
breast_cancer, wine, diabetes, digits, Khan, pbmc68k and three made tables) none; of iris, four numbers of two digits,
30 to 45 of 100. Tables shuffled and laid out column by column were found in all of these but digits, whose pixels lie
below 17. Of columns alone, sorted, 85 to 100 of 100 were found, but 15 of pbmc68k's, which have three decimals, and
none of digits'; shuffled, those that have telling cells.

False alarms: none in 32 cleaned predictors (ten datasets, all qualities; the best model alone, and every model that
was tried), none in 16 sets of forests, LightGBM, CatBoost and XGBoost on 4,000 rows of float64, float32, two or three
decimals, whole numbers and grids of steps, where thresholds meet values of other rows by chance.

On one core 0.4 s to prepare for 700 × 765 cells and 0.05 to 0.1 s for each MB; 22 s for an artifact of 405 MB. Memory:
about 200 MB of keys, whatever the size of a file.
"""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.datasets.columns import quote
from handlers.datasets.problem import Problem
from handlers.scanning.search import Search, Sightings, found_cells
from handlers.scanning.unpacking import TooMuch, contents
from handlers.scanning.windows import mixed

_FEWEST_OF_ROW = 3
_MOST_BY_CHANCE = 1e-6
_FEWEST_OF_COLUMN = 8
_SHARE_OF_COLUMN = 0.02
_FEWEST_OF_SAMPLE = 20
_FEWEST_OF_COARSE = 30
_HALF = 0.5
_DECOYS_PER_HIT = 0.25
_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What was looked for (rows, cells, runs, words), where (files, bytes with packed data unpacked), and how long."""

    rows: int
    cells: int
    runs: int
    words: int
    files: int
    bytes: int
    seconds: float

    def as_record(self) -> dict[str, Any]:
        """Plain data for the record of a run."""
        return asdict(self)


def refuse_rows(directory: Path, problem: Problem, what: str = "model") -> ScanReport:
    """Searches every file below `directory` for cells of the problem's rows, of all parts of the split.

    What is looked for follows from the data alone. `what` lies there, in a word.

    Raises:
        JobRefused: `row_in_artifact`; the message names files and columns, never a value.
    """
    begun = time.monotonic()
    search = Search(problem)
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    n_bytes, leaks = 0, []
    for path in paths:
        seen = Sightings()
        try:
            for data in contents(path):
                search.look(data, seen)
        except TooMuch:
            raise _too_much(path.relative_to(directory), what) from None
        n_bytes += seen.n_bytes
        if columns := leaked(search, seen):
            leaks.append((path.relative_to(directory).as_posix(), columns))
    if leaks:
        raise _refusal(leaks, what)
    return ScanReport(
        rows=len(search.table.rows),
        cells=search.n_cells,
        runs=sum(map(len, search.runs.keys.values())),
        words=len(search.words.texts),
        files=len(paths),
        bytes=n_bytes,
        seconds=round(time.monotonic() - begun, 3),
    )


def leaked(search: Search, seen: Sightings) -> list[str]:
    """The columns whose cells the file holds by the rule above; none where all can be chance."""
    names = search.table.names
    places = [*_by_run(search, seen), *_by_cells(search, seen), *_by_sample(search, seen), *_by_coarse(search, seen)]
    places += sorted(seen.tables)
    words = sorted(seen.words)
    by_word = [search.words.columns[i] for i in words] if len(words) >= _FEWEST_WORDS else []
    return list(dict.fromkeys([*(names[place] for place in places), *by_word]))


def _by_run(search: Search, seen: Sightings) -> list[int]:
    found: list[int] = []
    for width, keys in search.runs.keys.items():
        own = seen.of(f"runs {width}")
        if len(own):
            found += search.runs.columns[width][np.isin(keys, own)].tolist()
    return sorted(set(found))


def _by_cells(search: Search, seen: Sightings) -> list[int]:
    telling = search.table.telling
    hit = found_cells(search, seen, telling)
    by_row, by_column = hit.sum(axis=1), hit.sum(axis=0)
    enough = np.maximum(_FEWEST_OF_COLUMN, _SHARE_OF_COLUMN * telling.sum(axis=0))
    rows = by_row >= _fewest_of_row(int(hit.sum()), len(hit))
    return sorted({*np.flatnonzero(by_column >= enough).tolist(), *np.flatnonzero(hit[rows].any(axis=0)).tolist()})


def _fewest_of_row(n_hits: int, n_rows: int) -> int:
    """The smallest count that chance brings to a row less than once in a million files."""
    fewest = _FEWEST_OF_ROW
    while n_hits and n_rows * _poisson_tail(fewest, n_hits / n_rows) > _MOST_BY_CHANCE:
        fewest += 1
    return fewest


def _poisson_tail(count: int, mean: float) -> float:
    """P(X ≥ count), summed from there on: terms fall quickly behind the mean."""
    if count <= mean:
        return 1.0
    first = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    return float(first * np.cumprod(np.append(1.0, mean / np.arange(count + 1, count + 100))).sum())


def _by_sample(search: Search, seen: Sightings) -> list[int]:
    sample, own = search.sample, seen.of("sample")
    if not len(own):
        return []
    hits, decoys = (
        (np.isin(mixed(keys), own) & sample.looked).sum(axis=1).max(axis=0) for keys in (sample.keys, sample.decoys)
    )
    enough = np.maximum(_FEWEST_OF_SAMPLE, _HALF * sample.looked.sum(axis=0))
    places: list[int] = sample.columns[(hits >= enough) & (decoys <= _DECOYS_PER_HIT * hits)].tolist()
    return places


def _by_coarse(search: Search, seen: Sightings) -> list[int]:
    found = found_cells(search, seen, search.distinct).sum(axis=0)
    enough = np.maximum(_FEWEST_OF_COARSE, _HALF * search.distinct.sum(axis=0))
    return np.flatnonzero(found >= enough).tolist()


def _refusal(leaks: list[tuple[str, list[str]]], what: str) -> JobRefused:
    files = [name for name, _ in leaks]
    columns = list(dict.fromkeys(column for _, some in leaks for column in some))
    return JobRefused(
        ReasonCode.ROW_IN_ARTIFACT,
        f"the {what} was thrown away: its files {quote(files)} hold cells of the dataset's rows, "
        f"of the columns {quote(columns)}",
    )


def _too_much(name: Path, what: str) -> JobRefused:
    return JobRefused(
        ReasonCode.ROW_IN_ARTIFACT,
        f"the {what} was thrown away: its file {quote([name.as_posix()])} unpacks to more than can be searched "
        "for rows",
    )
