"""The cells of a dataset that are looked for, and how much each of them says.

A cell is *telling* when it alone would be a strange coincidence: finite, more than six significant digits, the
only one of its value in its column, in a column whose values are mostly of that kind and are no multiples of one
step, and far enough from its neighbours where the column has the precision of float32. A tree's thresholds are
halves of sums of two values: on a grid of steps, or of float32, such a half is another row's value by chance. Cells
around the median are not telling either: imputers keep medians.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from handlers.datasets.problem import Problem

from .numbers_in_text import DIGITS_IN_RUN
from .windows import Keys

_FLOAT32 = np.finfo(np.float32)
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MOST_ROWS = 100_000
MOST_CELLS = 600_000
_FEWEST_COLUMNS = 8
_TELLING_SHARE = 0.5
#: Float32 values between a cell and its neighbours: so many halves of sums of two values can be equal to it.
_LONELY_ULPS = 1 << 12
_NANOSECONDS = 1e9
#: Gaps of so many steps show whether there is a step.
_NEAR_STEPS = 30
#: What a cell adds to the surprise of a run: a number with more digits than float32 has, or with a decimal point.
TELLING_BITS = 26.0
DECIMAL_BITS = 12.0


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers of a dataset: m rows of n, spread evenly, by c columns that stand side by side or nearly so.

    `values`: (m, c). `telling`: which cells are, and `bits`: how surprising each is. `whole`: columns of whole
    numbers, `units`: what their values are multiplied by where they are stored as integers. The target, where it is a
    number, is the last column.
    """

    names: list[str]
    values: Floats
    telling: Flags
    bits: np.ndarray[Any, np.dtype[np.float32]]
    whole: Flags
    units: Floats
    rows: np.ndarray[Any, np.dtype[np.int64]]


def table_of(problem: Problem) -> Table:
    """The numbers and dates of a problem that will be looked for: all of a small one, even shares of a large one."""
    numeric = [place for place, dtype in enumerate(problem.X.dtypes) if is_number(dtype)]
    n = len(problem.X)
    rows = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(np.int64))
    most = max(_FEWEST_COLUMNS, MOST_CELLS // max(1, len(rows)))
    chosen = _blocks(len(numeric), most)
    table = problem.X.iloc[rows, [numeric[place] for place in chosen]]
    values = numbers(table)
    if is_number(problem.target.dtype):
        values = np.column_stack([values, numbers(problem.target.iloc[rows].to_frame())])
    dates = [types.is_datetime64_any_dtype(dtype) for dtype in [*table.dtypes, problem.target.dtype]]
    names = [*map(str, table.columns), problem.target_column][: values.shape[1]]
    telling, bits = judged(values)
    with np.errstate(invalid="ignore"):
        whole = np.all((values == np.rint(values)) | np.isnan(values), axis=0)
    return Table(names, values, telling, bits, whole, np.where(dates[: values.shape[1]], _NANOSECONDS, 1.0), rows)


def is_number(dtype: Any) -> bool:
    """Numbers, not booleans; and dates, whose numbers are seconds."""
    if types.is_datetime64_any_dtype(dtype):
        return True
    return bool(types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype) and not types.is_complex_dtype(dtype))


def numbers(table: pd.DataFrame) -> Floats:
    """Numbers as float64, dates as seconds, gaps as NaN."""
    dates = [place for place, dtype in enumerate(table.dtypes) if types.is_datetime64_any_dtype(dtype)]
    if not dates:
        return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))
    seconds = {place: _seconds(table.iloc[:, place]) for place in dates}
    columns = [
        seconds[place] if place in seconds else table.iloc[:, place].to_numpy(dtype=np.float64, na_value=np.nan)
        for place in range(table.shape[1])
    ]
    return np.column_stack(columns)


def _seconds(column: "pd.Series[Any]") -> Floats:
    # Nanoseconds, whatever unit the column has: what models are fed.
    whole = pd.to_datetime(column, utc=True).dt.as_unit("ns").astype("int64").to_numpy(dtype=np.float64)
    return np.where(column.isna(), np.nan, whole / _NANOSECONDS)


def _blocks(n_columns: int, most: int) -> list[int]:
    """All columns, or blocks of neighbours spread evenly: rows are found by cells that stand side by side."""
    if n_columns <= most:
        return list(range(n_columns))
    block = min(most, 32)
    starts = np.linspace(0, n_columns - block, max(1, most // block)).astype(int)
    return sorted({start + i for start in starts.tolist() for i in range(block)})


def judged(values: Floats) -> tuple[Flags, np.ndarray[Any, np.dtype[np.float32]]]:
    """Which cells of (m, c) values are telling, and the bits of surprise of each."""
    telling = np.zeros(values.shape, dtype=bool)
    bits = np.zeros(values.shape, dtype=np.float32)
    for place in range(values.shape[1]):
        telling[:, place], bits[:, place] = _judged(values[:, place])
    return telling, bits


def _judged(column: Floats) -> tuple[Flags, Floats]:
    n = len(column)
    order = np.argsort(column, kind="stable")  # NaN last
    ordered = column[order]
    n_known = int(np.isfinite(ordered).sum())
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    counts = np.repeat(np.diff(np.append(starts, n)), np.diff(np.append(starts, n)))
    once, seen = np.zeros(n, dtype=bool), np.empty(n)
    once[order], seen[order] = counts == 1, np.log2(n / counts)
    known = np.isfinite(column)
    decimal = known & (column != np.rint(column))
    if (once & known).sum() < _TELLING_SHARE * max(1, n_known):
        bits = np.where(decimal & (seen > 1), np.maximum(seen, DECIMAL_BITS), seen)
        return np.zeros(n, dtype=bool), np.where(known, bits, 0.0)
    with np.errstate(over="ignore"):
        single = bool(np.array_equal(column[known], column[known].astype(np.float32).astype(np.float64)))
    fine = known & _has_many_digits(column, single)
    telling = fine & once & _far_from_median(order, n_known)
    if _on_grid(ordered[starts]):
        telling[:] = False
    elif single:
        telling &= _lonely(order, ordered)
    bits = np.where(fine & once, np.maximum(seen, TELLING_BITS), seen)
    bits = np.where(decimal & (seen > 1), np.maximum(bits, DECIMAL_BITS), bits)
    return telling, np.where(known, bits, 0.0)


def _has_many_digits(column: Floats, single: bool) -> Flags:
    """More significant digits than six, or than five, as far as float32 shows them; whole numbers from six on."""
    digits, slack = (5, 0.02) if single else (DIGITS_IN_RUN, 1e-8)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        size = np.abs(column)
        scaled = size * 10.0 ** np.clip(digits - 1 - np.floor(np.log10(size)), -300, 300)
        many = np.abs(scaled - np.rint(scaled)) > (slack if single else slack * scaled)
        whole = (size == np.rint(size)) & (size >= 10.0 ** (DIGITS_IN_RUN - 1)) & (size % 1000 != 0)
    return np.asarray((many | whole) & (size > 1e-300))


def _on_grid(distinct: Floats) -> bool:
    """Whether ascending values are multiples of one step, whole numbers of many digits apart.

    Of values so rare on their grid that no two are one step apart, few halves of sums meet a third.
    """
    gaps = np.diff(distinct[np.isfinite(distinct)])
    if len(gaps) < 2 or (distinct[0] == np.rint(distinct[0]) and (gaps == np.rint(gaps)).all()):
        return False
    near = gaps[gaps <= _NEAR_STEPS * gaps.min()] / gaps.min()
    return bool(len(near) > 2 and (np.abs(near - np.rint(near)) < 0.1).mean() > 0.8)


def _far_from_median(order: Any, n_known: int) -> Flags:
    """Cells whose rank a subset's median does not reach: its rank has a standard deviation below √n / 2."""
    far = np.zeros(len(order), dtype=bool)
    ranks = np.arange(len(order))
    far[order] = np.abs(ranks - (n_known - 1) / 2) > np.sqrt(n_known)
    return far


def _lonely(order: Any, ordered: Floats) -> Flags:
    with np.errstate(invalid="ignore"):
        gap = np.diff(ordered)
        nearest = np.minimum(np.append(np.inf, gap), np.append(gap, np.inf))
        lonely = np.empty(len(order), dtype=bool)
        lonely[order] = nearest > _LONELY_ULPS * np.spacing(np.abs(ordered).astype(np.float32)).astype(np.float64)
    return lonely


def as_float64(values: Floats) -> Keys:
    """Each value's eight bytes, read as a little-endian number."""
    return np.ascontiguousarray(values, dtype="<f8").view("<u8")


def as_float32(values: Floats) -> Keys:
    """Each value's four bytes as float32; of one beyond float32, bytes that nothing else is likely to have."""
    with np.errstate(over="ignore", under="ignore"):
        keys = np.ascontiguousarray(values.astype("<f4")).view("<u4").astype(np.uint64)
    lost = (np.abs(values) > _FLOAT32.max) | ((np.abs(values) < _FLOAT32.tiny) & (values != 0))
    return np.where(lost, _unlikely(values) >> np.uint64(32), keys)


def as_integers(values: Floats, n_bytes: int) -> Keys:
    """Each whole value's bytes as a signed integer, cut to `n_bytes`; gaps become 0.

    Of a value beyond all whole numbers, bytes that nothing else is likely to have: all would be the same otherwise.
    """
    whole = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(-(2.0**62), 2.0**62).astype("<i8")
    mask = np.uint64(2 ** (8 * n_bytes) - 1)
    lost = np.isfinite(values) & (np.abs(values) >= 2.0**62)
    return np.where(lost, _unlikely(values), whole.view("<u8")) & mask


def _unlikely(values: Floats) -> Keys:
    """The bits of each value, mixed (Fibonacci hashing, Knuth 1973)."""
    with np.errstate(over="ignore"):
        bits = np.ascontiguousarray(values, dtype="<f8").view("<u8") * np.uint64(0x9E3779B97F4A7C15)
    return bits ^ (bits >> np.uint64(29))


def swapped(keys: Keys, n_bytes: int) -> Keys:
    """The same bytes in big-endian order."""
    return keys.byteswap() >> np.uint64(64 - 8 * n_bytes)
