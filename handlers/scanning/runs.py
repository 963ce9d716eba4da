"""Runs: neighbouring cells of a row, or of a column in the file's, the training rows' or sorted order, found as such.

They show rows whose single cells say little: counts, whole numbers, two decimals, float32.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import Floats, Table, as_float32, as_float64, as_integers, swapped
from .numbers_in_text import DIGITS_IN_RUN, significant
from .windows import Keys, run_keys

Indices = np.ndarray[Any, np.dtype[np.int64]]

#: Bits of surprise that a run must hold: by chance, 3·10⁸ windows full of values like the data's own meet one of
#: 10⁵ runs once or twice in a file, and files are never full of such values.
FEWEST_BITS = 44.0
#: The key of a width for numbers that stand as text.
TEXT = 0
_LENGTHS = (4, 8, 16, 32, 64)
_LENGTH_OF_COLUMN_RUNS = 8
_TELLING_SHARE = 0.4
_MOST_RUNS = 50_000
_MOST_COLUMNS = 64
_MOST_RUNS_OF_COLUMN = 300


@dataclass(frozen=True, slots=True)
class Runs:
    """Keys by the width in bytes of what stands side by side (`TEXT`: numbers as text); `columns`: of each key, by
    width, the first column."""

    length: int
    keys: dict[int, Keys]
    columns: dict[int, Indices]


def runs_of(table: Table, train: Indices) -> Runs:
    """What to look for. `train`: places of training rows among the table's, in their order."""
    length = _length(table) or _LENGTH_OF_COLUMN_RUNS
    blocks = _of_rows(table, length) + _of_columns(table, train, length)
    keys: dict[int, list[Keys]] = {}
    columns: dict[int, list[Indices]] = {}
    for whole in (False, True):
        alike = [(values, places) for values, places, is_whole in blocks if is_whole is whole and len(values)]
        if alike:
            joined = np.concatenate([values for values, _ in alike])
            places = np.concatenate([places for _, places in alike])
            for width, encoded in _encodings(joined, whole, length):
                keys.setdefault(width, []).append(encoded)
                columns.setdefault(width, []).append(places)
    return Runs(
        length,
        {width: np.concatenate(parts) for width, parts in keys.items()},
        {width: np.concatenate(parts) for width, parts in columns.items()},
    )


def _length(table: Table) -> int:
    """The shortest run that most often holds enough surprise; 0 where rows are too short or too common for any."""
    n_columns = table.values.shape[1]
    if not n_columns:
        return 0
    usual = float(np.median(table.bits, axis=0).mean())
    lengths = (2,) if n_columns < _LENGTHS[0] else _LENGTHS
    return next((n for n in lengths if n <= n_columns and n * usual >= FEWEST_BITS), 0)


_Block = tuple[Floats, Indices, bool]  # (k, length) values, the first column of each, whether all are whole


def _of_rows(table: Table, length: int) -> list[_Block]:
    m, n_columns = table.values.shape
    if n_columns < length:
        return []
    most = max(1, min(n_columns - length + 1, _MOST_RUNS // max(1, m)))
    found = []
    for start in np.unique(np.linspace(0, n_columns - length, most).astype(int)).tolist():
        span = slice(start, start + length)
        said = table.bits[:, span].sum(axis=1) >= FEWEST_BITS
        values = table.values[said, span]
        found.append((values, np.full(len(values), start), bool(table.whole[span].all())))
    return found


def _of_columns(table: Table, train: Indices, length: int) -> list[_Block]:
    n_columns = table.values.shape[1]
    found = []
    for place in np.unique(np.linspace(0, n_columns - 1, min(n_columns, _MOST_COLUMNS)).astype(int)).tolist():
        column, bits = table.values[:, place], table.bits[:, place]
        orders = [np.arange(len(column)), train]
        # Sorted whole numbers of few digits are what any list of positions looks like.
        if not table.whole[place] or table.telling[:, place].mean() > _TELLING_SHARE:
            orders += [np.argsort(column), train[np.argsort(column[train])]]
        for order in orders:
            values = _column_runs(column[order], bits[order], length)
            found.append((values, np.full(len(values), place), bool(table.whole[place])))
    return found


def _column_runs(column: Floats, bits: Floats, length: int) -> Floats:
    if len(column) < length:
        return np.empty((0, length))
    runs = np.lib.stride_tricks.sliding_window_view(column, length)
    said = np.lib.stride_tricks.sliding_window_view(bits, length).sum(axis=1) >= FEWEST_BITS
    with np.errstate(invalid="ignore"):
        steps = np.diff(runs, axis=1)
        # A step that is always the same, or a value that is: a range, not data.
        said &= (np.ptp(steps, axis=1) > 1e-9 * np.abs(runs).max(axis=1)) & np.isfinite(runs).all(axis=1)
    chosen = np.flatnonzero(said)
    kept = np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_RUNS_OF_COLUMN)).astype(int)
    return np.asarray(runs[chosen[kept]])


def _encodings(values: Floats, whole: bool, length: int) -> list[tuple[int, Keys]]:
    """(width, key of each run) for every way in which a row of numbers may be written."""
    plain = [(8, as_float64(values)), (4, as_float32(values))]
    if whole:
        plain += [(n_bytes, as_integers(values, n_bytes)) for n_bytes in (8, 4)]
    written = plain + [(width, swapped(keys, width)) for width, keys in plain]
    if whole:
        small = np.nan_to_num(np.abs(values)).max(axis=1) < 128
        # The others can never be found: of their runs one key that no file holds takes the place.
        written.append((1, np.where(small[:, None], as_integers(values, 1), np.uint64(1 << 40))))
    written.append((TEXT, significant(values, DIGITS_IN_RUN)))
    return [(width, run_keys(keys, 1, length)[:, 0]) for width, keys in written if keys.size]
