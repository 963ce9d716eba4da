"""Looks through the bytes of one file after another for everything that is looked for."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handlers.datasets.problem import Problem

from . import words
from .cells import Flags, Table, as_float32, as_float64, as_integers, swapped, table_of
from .numbers_in_text import DIGITS_IN_RUN, numbers_in, significant
from .runs import TEXT, Indices, Runs, runs_of
from .strides import Pairs, Places
from .windows import CHUNK, Bytes, Keys, Needles, chunks, mixed, run_keys

_TEXT_CHUNK = 1 << 20
_LONGEST_NUMBER = 32
_SAMPLE = 200
_MOST_SAMPLED_CELLS = 60_000
_MOST_WORDS_READ = 300
_LOW_HALF = np.uint64(2**32 - 1)
_LOW_BYTE = np.uint64(255)


@dataclass
class Sightings:
    """What was seen in one file, packed data included: keys by the name of what was looked for; words as places."""

    keys: dict[str, list[Keys]] = field(default_factory=dict)
    words: set[int] = field(default_factory=set)
    tables: set[int] = field(default_factory=set)
    n_bytes: int = 0

    def add(self, name: str, keys: Keys) -> None:
        if len(keys):
            self.keys.setdefault(name, []).append(np.unique(keys))

    def of(self, name: str) -> Keys:
        return np.unique(np.concatenate(self.keys[name])) if name in self.keys else np.empty(0, dtype=np.uint64)


class Search:
    """Needles made of a problem once, for any number of files.

    `cells`: keys (m, c) of the table's single cells in each of the ways to write them, and which of them are looked
    for that way. `text`: likewise as numbers in text. `distinct`: the cells of coarse columns.
    """

    def __init__(self, problem: Problem) -> None:
        self.table: Table = table_of(problem)
        train = problem.split().train
        place_of = np.full(len(problem.X), -1)
        place_of[self.table.rows] = np.arange(len(self.table.rows))
        self.runs: Runs = runs_of(self.table, place_of[train][place_of[train] >= 0])
        self.words = words.words_of(problem)
        self.distinct = _coarse(self.table)
        looked = self.table.telling | self.distinct
        values = self.table.values
        # Whole numbers as float64 are what thresholds are, too: they count as integers alone, or as text.
        whole = looked & self.table.whole
        integers = as_integers(values * self.table.units, 8)
        self.cells = [
            *((keys, looked & ~whole) for keys in (as_float64(values), swapped(as_float64(values), 8))),
            *((keys, whole) for keys in (integers, swapped(integers, 8)) if whole.any()),
        ]
        self.text = as_float64(values)
        self._cells = Needles(np.concatenate([keys[which] for keys, which in self.cells]))
        self._text = Needles(self.text[self.table.telling])
        self.sample = Sample(self.table)
        self._sample = Needles(mixed(np.concatenate([self.sample.keys.ravel(), self.sample.decoys.ravel()])))
        self.pairs = Pairs(self.table)
        self._runs = {width: Needles(keys) for width, keys in self.runs.keys.items()}
        self._words = Needles(self.words.keys)

    @property
    def n_cells(self) -> int:
        return int((self.table.telling | self.distinct).sum())

    def look(self, data: Bytes, seen: Sightings) -> None:
        """Adds to `seen` what is among these bytes."""
        seen.n_bytes += len(data)
        self._look_at_bytes(data, seen)
        if len(self._text) or TEXT in self._runs:
            self._look_at_text(data, seen)

    def _look_at_bytes(self, data: Bytes, seen: Sightings) -> None:
        found_words: list[Keys] = []
        places = Places()
        for number, windows in enumerate(chunks(data, overlap=8 * (self.runs.length - 1))):
            halves = windows & _LOW_HALF
            seen.add("cells", self._cells.among(windows))
            self._look_for_runs(windows, halves, seen)
            if len(self._sample) or len(self.pairs):
                spread = mixed(halves)
                seen.add("sample", self._sample.among(spread))
                self.pairs.look(spread, 4, number * CHUNK, CHUNK, places)
            if len(self.pairs):
                self.pairs.look(mixed(windows), 8, number * CHUNK, CHUNK, places)
            found_words += [self._words.among(words.window_keys(windows, n)) for n in self.words.lengths]
        seen.tables |= set(self.pairs.tables(places))
        self._read_words(data, found_words, seen)

    def _look_for_runs(self, windows: Keys, halves: Keys, seen: Sightings) -> None:
        sources = {8: windows, 4: halves, 1: windows & _LOW_BYTE if 1 in self._runs else windows}
        for width in {8, 4, 1} & set(self._runs):
            seen.add(f"runs {width}", self._runs[width].among(run_keys(sources[width], width, self.runs.length)))

    def _read_words(self, data: Bytes, found: list[Keys], seen: Sightings) -> None:
        if not found:
            return
        places = np.flatnonzero(np.isin(self.words.keys, np.unique(np.concatenate(found))))
        evenly = np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST_WORDS_READ)).astype(int))
        seen.words |= {int(i) for i in places[evenly] if words.stands_in(data, self.words.texts[int(i)])}

    def _look_at_text(self, data: Bytes, seen: Sightings) -> None:
        length, before = self.runs.length, np.empty(0)
        for start in range(0, len(data), _TEXT_CHUNK):
            found = numbers_in(data[start : start + _TEXT_CHUNK + _LONGEST_NUMBER])
            seen.add("text", self._text.among(as_float64(found)))
            if TEXT in self._runs:
                # The last numbers of the chunk before belong to runs that begin there.
                joined = np.concatenate([before, found])
                seen.add("runs 0", self._runs[TEXT].among(run_keys(significant(joined, DIGITS_IN_RUN), 1, length)))
                before = found[-2 * length :]


class Sample:
    """Single cells as float32, in both byte orders: `keys` (2, s, d) of `columns` (d).

    `decoys` stand beside them and are not in the data: where as many of them are found, all is coincidence (Elias and
    Gygi 2007, «Target-decoy search strategy»).
    """

    def __init__(self, table: Table) -> None:
        m = len(table.values)
        often = np.flatnonzero((table.telling.mean(axis=0) > 0.4) & ~table.whole)
        most = max(1, _MOST_SAMPLED_CELLS // max(1, min(m, _SAMPLE)))
        self.columns: Indices = often[np.unique(np.linspace(0, len(often) - 1, min(len(often), most)).astype(int))]
        rows = np.unique(np.linspace(0, m - 1, min(m, _SAMPLE)).astype(int)) if m else np.empty(0, dtype=int)
        values = table.values[np.ix_(rows, self.columns)]
        self.looked: Flags = table.telling[np.ix_(rows, self.columns)]
        little = as_float32(values)
        # Some hundreds of steps of float32 away, and not a round number of them.
        near = little ^ np.uint64(0x2A5)
        self.keys: Keys = np.stack([little, swapped(little, 4)])
        self.decoys: Keys = np.stack([near, swapped(near, 4)])


def _coarse(table: Table) -> Flags:
    """The first cell of each distinct value with four or five digits that float32 cannot hold, of columns of such.

    Shares of classes in the leaves of trees are quotients of small numbers: two or three decimals are among them.
    """
    values, found = table.values, np.zeros(table.values.shape, dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        size = np.abs(values)
        scaled = size * 10.0 ** np.clip(2 - np.floor(np.log10(size)), -300, 300)
        fine = np.isfinite(values) & (values != values.astype(np.float32)) & (np.abs(scaled - np.rint(scaled)) > 1e-6)
    for place in np.flatnonzero((table.telling.mean(axis=0) < 0.2) & (fine.mean(axis=0) > 0.3)).tolist():
        first = np.zeros(len(values), dtype=bool)
        first[np.unique(values[:, place], return_index=True)[1]] = True
        found[:, place] = first & fine[:, place]
    return found


def found_cells(search: Search, seen: Sightings, among: Flags) -> Flags:
    """(m, c): which of the cells `among` were seen in any of the ways to write them."""
    hit, seen_cells = _is_in(search.text, seen.of("text")), seen.of("cells")
    for keys, which in search.cells:
        hit |= _is_in(keys, seen_cells) & which
    return np.asarray(hit & among)


def _is_in(keys: Keys, found: Keys) -> Any:
    return np.isin(keys, found) if len(found) else np.zeros(keys.shape, dtype=bool)
