"""Finds many 64-bit keys among all overlapping windows of bytes, in bounded memory.

One pass per chunk that fits the processor's cache: a table of bits that a multiplicative hash points into (Knuth,
«The Art of Computer Programming», 6.4) lets through nearly nothing but needles; what passes is looked up in the
sorted keys. A run of several values is one key: a polynomial over its values, built by doubling (Karp and Rabin 1987).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Keys = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

CHUNK = 1 << 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_STEPS = tuple(np.uint64(0x9E3779B97F4A7C15 * (2 * i + 3) & (2**64 - 1) | 1) for i in range(8))
_BITS_PER_KEY = 16
_MOST_BITS = 24


@dataclass
class Needles:
    """Keys to look for among windows."""

    keys: Keys
    _table: np.ndarray[Any, np.dtype[np.bool_]] = field(init=False, repr=False)
    _second: np.ndarray[Any, np.dtype[np.bool_]] = field(init=False, repr=False)
    _shift: np.uint64 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.keys = np.sort(self.keys)
        bits = min(_MOST_BITS, max(10, int(np.ceil(np.log2(max(1, len(self.keys)) * _BITS_PER_KEY)))))
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, dtype=bool)
        self._table[self._slots(self.keys)] = True
        self._second = np.zeros(1 << bits, dtype=bool)
        self._second[self._slots(mixed(self.keys))] = True

    def __len__(self) -> int:
        return len(self.keys)

    def _slots(self, keys: Keys) -> np.ndarray[Any, np.dtype[np.int64]]:
        return ((keys * _MULTIPLIER) >> self._shift).view(np.int64)

    def among(self, windows: Keys) -> Keys:
        """Those of the needles that are among the windows, each once or more often."""
        return self.places(windows)[1]

    def places(self, windows: Keys) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Keys]:
        """Where windows are needles, and which."""
        if not len(self.keys):
            return np.empty(0, dtype=np.int64), self.keys
        at = np.flatnonzero(self._table[self._slots(windows)])
        passed = windows[at]
        # A few in a hundred get through the first table by chance, and a few in a hundred of these through the second.
        at = at[self._second[self._slots(mixed(passed))]]
        passed = windows[at]
        place = np.searchsorted(self.keys, passed)
        place[place == len(self.keys)] = 0
        found = self.keys[place] == passed
        return at[found], passed[found]


def mixed(values: Keys) -> Keys:
    """Spreads what distinguishes values over all 64 bits: floats that are whole numbers end in zeros."""
    spread = values ^ (values >> np.uint64(29))
    spread *= _MIX
    return spread


def run_keys(values: Keys, step: int, length: int) -> Keys:
    """The key of each run of `length` (a power of two) values that stand `step` places apart, along the last axis."""
    keys = mixed(values)
    span = 1
    for factor in _STEPS:
        if span >= length:
            break
        reach = span * step
        keys = keys[..., :-reach] + keys[..., reach:] * factor if keys.shape[-1] > reach else keys[..., :0]
        span *= 2
    return keys


def chunks(data: Bytes, overlap: int) -> Iterator[Keys]:
    """The little-endian 8-byte windows of `data`, at every offset, a chunk at a time.

    Chunks overlap by `overlap` windows, so that no run of that many bytes falls between two. Behind the end, zeros
    are read: a value in the last bytes has its window too.
    """
    for start in range(0, len(data), CHUNK):
        piece = data[start : start + CHUNK + overlap + 7]
        n_windows = min(len(piece), CHUNK + overlap)
        padded = np.zeros(-(-n_windows // 8) * 8 + 8, dtype=np.uint8)
        padded[: len(piece)] = piece[: len(padded)]
        windows = np.empty((len(padded) // 8 - 1, 8), dtype=np.uint64)
        for offset in range(8):
            windows[:, offset] = padded[offset : offset + 8 * len(windows)].view("<u8")
        yield windows.reshape(-1)[:n_windows]
