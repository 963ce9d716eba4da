"""The numbers that stand as text in a file's bytes: JSON, CSV, LightGBM's model format, anything printable."""

from typing import Any

import numpy as np

from .windows import Bytes, Keys

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Digits that are compared of a cell in a run of cells.
DIGITS_IN_RUN = 6
_FEWEST_PRINTABLE = 16
_LONGEST = 25
_PRINTABLE = np.zeros(256, dtype=bool)
_PRINTABLE[[9, 10, 13, *range(32, 127)]] = True
_NUMBER = np.zeros(256, dtype=bool)
_NUMBER[list(b"0123456789.+-eE")] = True
_DIGIT = np.zeros(256, dtype=bool)
_DIGIT[list(b"0123456789")] = True
_SIGN = np.zeros(256, dtype=bool)
_SIGN[list(b"+-.")] = True
#: A number that touches one of these is part of a name.
_NAME = np.zeros(256, dtype=bool)
_NAME[[*b"_abcdfghijklmnopqrstuvwxyzABCDFGHIJKLMNOPQRSTUVWXYZ", *range(128, 256)]] = True
_NAME_AFTER = _NAME.copy()
_NAME_AFTER[list(b"\"'")] = True


def numbers_in(data: Bytes) -> Floats:
    """The numbers in printable stretches of at least 16 bytes, in their order."""
    starts, ends = _tokens(data)
    if not len(starts):
        return np.empty(0)
    places = starts[:, None] + np.arange(_LONGEST)
    letters = data[np.minimum(places, len(data) - 1)]
    letters[places >= ends[:, None]] = 0
    return _parsed(np.ascontiguousarray(letters).view(f"S{_LONGEST}").ravel())


def significant(values: Floats, digits: int) -> Keys:
    """A key of the first significant digits, the sign and the exponent; the same for any way of writing a number."""
    known = np.isfinite(values) & (values != 0)
    size = np.where(known, np.abs(values), 1.0)
    exponent = np.floor(np.log10(size))
    digits_of = np.rint(size * 10.0 ** np.clip(digits - 1 - exponent, -300, 300))
    # 9.9999999 rounds up to the next power of ten.
    over = digits_of >= 10.0**digits
    digits_of, exponent = np.where(over, digits_of / 10, digits_of), exponent + over
    whole = np.where(known, digits_of, 0).astype(np.int64) * 2048 + np.where(known, exponent + 512, 0).astype(np.int64)
    return (whole * 2 + (values < 0)).view(np.uint64)


def _tokens(data: Bytes) -> tuple[Any, Any]:
    numeric = _NUMBER[data] & _in_text(data)
    edges = np.flatnonzero(np.diff(numeric, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    before = data[np.maximum(starts - 1, 0)]
    after = data[np.minimum(ends, len(data) - 1)]
    named = (_NAME[before] & (starts > 0)) | (_NAME_AFTER[after] & (ends < len(data)))
    whole = _DIGIT[data[ends - 1]] & (_DIGIT[data[starts]] | _SIGN[data[starts]])
    kept = (ends - starts < _LONGEST) & ~named & whole
    return starts[kept], ends[kept]


def _in_text(data: Bytes) -> np.ndarray[Any, np.dtype[np.bool_]]:
    printable = _PRINTABLE[data]
    edges = np.flatnonzero(np.diff(printable, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    short = ends - starts < _FEWEST_PRINTABLE
    change = np.zeros(len(data) + 1, dtype=np.int8)
    change[starts[~short]] = 1
    change[ends[~short]] -= 1
    return np.cumsum(change[:-1], dtype=np.int8).astype(bool)


def _parsed(tokens: np.ndarray[Any, Any]) -> Floats:
    try:
        return tokens.astype(np.float64)
    except ValueError:  # dates, version numbers, lone signs
        return np.array([_float(token) for token in tokens.tolist()])


def _float(token: bytes) -> float:
    try:
        return float(token)
    except ValueError:
        return np.nan
