"""Tables in any regular layout, whatever the order of their rows: found by the distance between neighbouring cells.

Where cells of column j and of column j + 1 of the same row stand in a file, a table puts them at the same distance in
every row: eight bytes in a row layout, eight times the number of rows in a column layout. Each pair of cells votes for
the distances at which its two values are seen (a Hough transform; Duda and Hart 1972); chance scatters its votes.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .cells import Table, as_float32, as_float64, as_integers
from .windows import Keys, Needles, mixed

Indices = np.ndarray[Any, np.dtype[np.int64]]

_ROWS = 200
_PAIRS = 16
_FEWEST_VOTES = 20
_FEWEST_WHOLE = 256
_SHARE_OF_VOTES = 0.01
#: A value that is seen more often is a common number.
_MOST_PLACES = 32
_MOST_SEEN = 4_000_000


@dataclass
class Places:
    """Where values were seen in a stretch of bytes: keys and offsets, by the width of the value."""

    keys: dict[int, list[Keys]] = field(default_factory=dict)
    offsets: dict[int, list[Indices]] = field(default_factory=dict)
    n_seen: int = 0


class Pairs:
    """Values of sampled rows in pairs of neighbouring columns.

    `keys`: for each way to write them its width in bytes, (2, k) keys, and the first column of each pair. Small whole
    numbers are everywhere: they do not count.
    """

    def __init__(self, table: Table) -> None:
        m, n_columns = table.values.shape
        rows = np.unique(np.linspace(0, m - 1, min(m, _ROWS)).astype(int)) if m else np.empty(0, dtype=int)
        # Three rows with the same value may share it, as far as the votes go.
        rare = table.bits >= max(1.0, np.log2(max(2, m)) - 2.1)
        with np.errstate(invalid="ignore"):
            rare &= np.isfinite(table.values) & (~table.whole | (np.abs(table.values) >= _FEWEST_WHOLE))
        usable = rare[rows].mean(axis=0)
        both = np.minimum(usable[:-1], usable[1:]) if n_columns > 1 else np.empty(0)
        good = np.flatnonzero(both > 0.3)
        firsts = good[np.unique(np.linspace(0, len(good) - 1, min(len(good), _PAIRS)).astype(int))]
        r, c = np.meshgrid(rows, firsts, indexing="ij")
        kept = rare[r, c] & rare[r, c + 1]
        r, c = r[kept], c[kept]
        self._n_pairs = len(c)
        values = np.stack([table.values[r, c], table.values[r, c + 1]])
        self.keys = [(8, mixed(as_float64(values)), c), (4, mixed(as_float32(values)), c)]
        whole = table.whole[c] & table.whole[c + 1]
        if whole.any():
            integers = (values * np.stack([table.units[c], table.units[c + 1]]))[:, whole]
            self.keys += [(width, mixed(as_integers(integers, width)), c[whole]) for width in (8, 4)]
        self.needles = {
            width: Needles(np.unique(np.concatenate([keys.ravel() for own, keys, _ in self.keys if own == width])))
            for width in (8, 4)
        }

    def __len__(self) -> int:
        return self._n_pairs

    def look(self, mixed_windows: Keys, width: int, base: int, n_own: int, places: Places) -> None:
        """Notes where values stand; of a chunk's windows those that the next chunk does not repeat."""
        at, keys = self.needles[width].places(mixed_windows[:n_own])
        if len(at) and places.n_seen < _MOST_SEEN:
            places.n_seen += len(at)
            places.keys.setdefault(width, []).append(keys)
            places.offsets.setdefault(width, []).append(at + base)

    def tables(self, places: Places) -> list[int]:
        """The first columns of the pairs that agree on a distance; none where votes are scattered."""
        found: set[int] = set()
        for width, pairs, columns in self.keys:
            if width not in places.keys:
                continue
            keys, offsets = np.concatenate(places.keys[width]), np.concatenate(places.offsets[width])
            order = np.argsort(keys, kind="stable")
            distances, voters = self._votes(keys[order], offsets[order], pairs)
            winners, counts = np.unique(distances, return_counts=True)
            if len(counts) and counts.max() >= max(_FEWEST_VOTES, _SHARE_OF_VOTES * len(columns)):
                found |= set(columns[voters[distances == winners[counts.argmax()]]].tolist())
        return sorted(found)

    def _votes(self, keys: Keys, offsets: Indices, pairs: Keys) -> tuple[Indices, Indices]:
        """The distance of each two places of a pair, and the pair; a pair votes for a distance once."""
        starts, ends = np.searchsorted(keys, pairs, "left"), np.searchsorted(keys, pairs, "right")
        few = ((ends - starts) <= _MOST_PLACES).all(axis=0) & (ends > starts).all(axis=0)
        votes: list[Indices] = [np.empty(0, dtype=np.int64)]
        voters: list[Indices] = [np.empty(0, dtype=np.int64)]
        for pair in np.flatnonzero(few).tolist():
            first, second = (offsets[starts[i, pair] : ends[i, pair]] for i in (0, 1))
            distances = np.unique(second[None, :] - first[:, None])
            votes.append(distances)
            voters.append(np.full(len(distances), pair))
        return np.concatenate(votes), np.concatenate(voters)
