"""Words of a dataset: ids, group values and free text, as UTF-8 bytes or escaped as JSON does it."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from handlers.datasets.problem import Problem

from .windows import Bytes, Keys, mixed

FEWEST_BYTES = 4
WINDOW = 8
_MOST_WORDS = 20_000
_MOST_OFFSETS = 48
_TELLING_SHARE = 0.5
_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True)
class Words:
    """w words, as bytes, with the column of each, and the key of one window that no other word holds."""

    texts: list[bytes]
    columns: list[str]
    keys: Keys
    lengths: tuple[int, ...]


def words_of(problem: Problem) -> Words:
    """Values that stand in one row only, of columns where most do, and all group values: no vocabulary holds them."""
    allowed = {str(name) for name in (*problem.X.columns, problem.target_column, problem.group_column)}
    allowed |= set(problem.labels or ())
    sources = [(str(name), _once(column)) for name, column in problem.X.items() if _is_text(column)]
    if problem.groups is not None:
        sources.append((problem.group_column or "", problem.groups.dropna().astype(str).unique().tolist()))
    share = max(1, _MOST_WORDS // max(1, len(sources)))
    chosen = [(name, text) for name, texts in sources for text in _evenly(texts, share) if text not in allowed]
    return _keyed([(name, form) for name, text in chosen for form in _forms(text)], allowed)


def _is_text(column: "pd.Series[Any]") -> bool:
    dtype = column.dtype
    return bool(
        types.is_object_dtype(dtype)
        or isinstance(dtype, pd.CategoricalDtype)
        or types.is_string_dtype(dtype)
        or types.is_datetime64_any_dtype(dtype)
    )


def _once(column: "pd.Series[Any]") -> list[str]:
    counts = column.dropna().astype(str).value_counts()
    once = counts.index[counts == 1].tolist()
    return once if len(once) > _TELLING_SHARE * counts.sum() else []


def _evenly(texts: list[str], most: int) -> Iterable[str]:
    return (texts[int(i)] for i in np.unique(np.linspace(0, len(texts) - 1, min(len(texts), most)).astype(int)))


def _forms(text: str) -> set[bytes]:
    """As UTF-8 and as JSON. Short numbers are no words: they stand anywhere."""
    if text.replace(".", "").replace("-", "").isdigit() and len(text) < WINDOW:
        return set()
    return {form for form in (text.encode(errors="replace"), json.dumps(text)[1:-1].encode()) if len(form) >= 4}


def _keyed(forms: list[tuple[str, bytes]], allowed: set[str]) -> Words:
    windows = [_windows(form) for _, form in forms]
    counts = Counter(window for some in windows for window in set(some))
    counts.update(window for text in allowed for window in set(_windows(text.encode(errors="replace"))) for _ in "12")
    texts, columns, keys = [], [], []
    for (column, form), some in zip(forms, windows, strict=True):
        own = next((window for window in some if counts[window] == 1), None)
        if own is not None:
            texts.append(form)
            columns.append(column)
            keys.append(own)
    lengths = tuple(sorted({min(len(text), WINDOW) for text in texts}))
    return Words(texts, columns, mixed(np.array(keys, dtype=np.uint64)), lengths)


def _windows(form: bytes) -> list[int]:
    if len(form) < FEWEST_BYTES:
        return []
    if len(form) < WINDOW:
        return [int.from_bytes(form, "little") | len(form) << 56]
    last = len(form) - WINDOW
    # From the end: ids differ there.
    return [int.from_bytes(form[i : i + WINDOW], "little") for i in range(last, max(-1, last - _MOST_OFFSETS), -1)]


def window_keys(windows: Keys, length: int) -> Keys:
    """The keys of the first `length` bytes of each window."""
    if length == WINDOW:
        return mixed(windows)
    return mixed((windows & np.uint64(2 ** (8 * length) - 1)) | np.uint64(length << 56))


def stands_in(data: Bytes, text: bytes) -> bool:
    """Whether the whole word is there; a short one as a word of its own, or behind its length as in a pickle."""
    for start in range(0, len(data), _BLOCK):
        block = data[max(0, start - 1) : start + _BLOCK + len(text)].tobytes()
        place = block.find(text)
        while place >= 0:
            before, after = block[place - 1 : place], block[place + len(text) : place + len(text) + 1]
            if len(text) >= WINDOW or not ((before.isalnum() and before != bytes([len(text)])) or after.isalnum()):
                return True
            place = block.find(text, place + 1)
    return False
