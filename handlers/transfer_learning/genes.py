"""Which column of a new cohort is which feature of a model trained on another: found by name.

Cohorts write the same gene in different ways: in other case, with another version of the same accession, with blanks
around it. What is told here are names of columns, never values.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.datasets.columns import quote

#: With a smaller share of the base model's features, or fewer than two, nothing of it is left to transfer.
LEAST_SHARE = 0.1
LEAST_FEATURES = 2

#: Ensembl (ENSG00000141510.17, ENSMUSP…) and RefSeq (NM_000546.6). What looks alike and is none keeps its dot: genes
#: named after clones (RP11-34P13.7, AC079767.4), symbols (NKX2.1), copies on Y (ENSG00000182378.14_PAR_Y).
_VERSIONED = re.compile(r"(ens[a-z]*\d{11}|[nxyaw][cgmrptwz]_\d{6,9})\.\d+")

_Key = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Names that mean the same, more than one of them on a side, so that none is taken."""

    source: tuple[str, ...]
    target: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A base model's p_source features, and where the new cohort's p_target columns have them.

    `places` has for each feature its column (0-based), or None. The counts tell how they were found.
    """

    source_names: tuple[str, ...]
    target_names: tuple[str, ...]
    places: tuple[int | None, ...]
    n_exact: int
    n_by_case: int
    n_by_version: int
    ambiguous: tuple[Ambiguity, ...]

    @property
    def n_found(self) -> int:
        return self.n_exact + self.n_by_case + self.n_by_version

    @property
    def missing(self) -> tuple[str, ...]:
        """Features of the base model without a column, those that are ambiguous among them."""
        return tuple(name for name, place in zip(self.source_names, self.places, strict=True) if place is None)

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns that the base model does not know."""
        used = set(self.places)
        return tuple(name for place, name in enumerate(self.target_names) if place not in used)

    def numbers(self) -> list[int]:
        """(p_source,) places, -1 for none: what `networks.aligned.Aligned` takes."""
        return [-1 if place is None else place for place in self.places]

    def sentences(self) -> list[str]:
        """What a reader of the result should know of it: at most three sentences, none where all names are the same."""
        told = [self._found()] if self.n_exact < len(self.source_names) else []
        if self.ambiguous:
            told.append(_told_ambiguous(self.ambiguous))
        if unused := self.unused:
            told.append(f"The base model does not know {_count(len(unused), 'column')}: {quote(unused)}")
        return told

    def _found(self) -> str:
        ways = [
            f"{number:,} by {way}"
            for number, way in ((self.n_by_case, "case"), (self.n_by_version, "version"))
            if number
        ]
        told = f"{self.n_found:,} of {len(self.source_names):,} features of the base model found"
        told += f" ({', '.join(ways)})" if ways else ""
        if missing := self.missing:
            is_are = "is missing and is" if len(missing) == 1 else "are missing and are"
            told += f"; {len(missing):,} {is_are} filled with the base model's mean: {quote(missing)}"
        return told


def align(source_names: Sequence[str], target_names: Sequence[str]) -> Alignment:
    """Finds each of the base model's features among the columns of a new cohort.

    Names that are the same go first, then those that differ in blanks or Unicode form (counted as exact), then in case,
    then in the version of an Ensembl or RefSeq accession. Each column serves one feature. Where several names of one
    side mean the same, none of them is taken. Linear in the number of names.
    """
    places: list[int | None] = [None] * len(source_names)
    ways: tuple[_Key, ...] = (_as_it_is, _plain, _caseless, _versionless)
    left, free = list(range(len(source_names))), list(range(len(target_names)))
    counts = []
    for key in ways:
        groups = _groups(key, source_names, left, target_names, free)
        pairs = {mine[0]: theirs[0] for mine, theirs in groups if len(mine) == len(theirs) == 1}
        for feature, column in pairs.items():
            places[feature] = column
        counts.append(len(pairs))
        used = set(pairs.values())
        left, free = [each for each in left if each not in pairs], [each for each in free if each not in used]
    ambiguous = tuple(
        Ambiguity(tuple(source_names[each] for each in mine), tuple(target_names[each] for each in theirs))
        for mine, theirs in _groups(_versionless, source_names, left, target_names, free)
    )
    same, plain, case, version = counts
    return Alignment(tuple(source_names), tuple(target_names), tuple(places), same + plain, case, version, ambiguous)


def require_enough(alignment: Alignment, base_model: str) -> None:
    """Refuses a base model of which next to nothing is found among the columns.

    Raises:
        JobRefused: `model_unsuitable`, with examples of names on both sides.
    """
    known, found = len(alignment.source_names), alignment.n_found
    if found >= max(LEAST_SHARE * known, min(LEAST_FEATURES, known)) and found:
        return
    raise JobRefused(
        ReasonCode.MODEL_UNSUITABLE,
        f"base_model {quote([base_model])} does not fit this dataset: {found:,} of its {known:,} features are among "
        f"the columns. It knows {quote(alignment.missing)}; the dataset has {quote(alignment.unused)}. Choose a model "
        "of the same kind of data, or name the columns as its dataset does",
    )


def _groups(
    key: _Key, source: Sequence[str], left: Iterable[int], target: Sequence[str], free: Iterable[int]
) -> Iterator[tuple[list[int], list[int]]]:
    """Places of names that have the same key, where there are some on both sides, in the order of the source."""
    theirs = _places_by_key(key, target, free)
    for told, mine in _places_by_key(key, source, left).items():
        if told in theirs:
            yield mine, theirs[told]


def _places_by_key(key: _Key, names: Sequence[str], places: Iterable[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for place in places:
        if told := key(names[place]):
            found[told].append(place)
    return found


def _as_it_is(name: str) -> str:
    return name


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _caseless(name: str) -> str:
    return _plain(_plain(name).casefold())


def _versionless(name: str) -> str:
    found = _VERSIONED.fullmatch(told := _caseless(name))
    return found[1] if found else told


def _told_ambiguous(ambiguous: Sequence[Ambiguity]) -> str:
    features = [name for each in ambiguous for name in each.source]
    columns = [name for each in ambiguous for name in each.target]
    verbs = ("has", "counts") if len(features) == 1 else ("have", "count")
    return (
        f"{_count(len(features), 'feature')} of the base model {verbs[0]} no single column and {verbs[1]} as missing: "
        f"{quote(features)} could be {quote(columns)}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
