"""Columns that name rows, and columns that name what several rows belong to."""

import re
from typing import Any

import numpy as np
import pandas as pd

from handlers.datasets.problem import Problem

from .giveaways import is_sorted
from .view import Floats, View

_SPREAD = 2.0
_FEWEST_ROWS = 12
_FEWEST_GROUPS = 5
_MOST_ROWS_PER_GROUP = 100
_MOST_ROWS_PER_CODE = 6
_FEWEST_REPEATS = 1.3
_ID_SHARE = 0.9
#: Words for what rows may share, as parts of a column's name.
_OWNERS = frozenset(
    (
        *("patient", "patients", "pat", "donor", "donors", "subject", "subjects", "subj", "individual", "participant"),
        *("proband", "person", "case", "animal", "mouse", "mice", "rat", "family", "pedigree", "specimen", "biopsy"),
        *("sample", "samples", "patientid", "donorid", "subjectid", "sampleid"),
    )
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ID_TEXT = re.compile(r"[A-Za-z_./:#-]{0,12}\d{1,12}([_./:-]?[A-Za-z0-9]{1,6})?")


def row_ids(view: View) -> list[int]:
    """Whole numbers that count rows, and text that is another in every row. Measurements are neither."""
    found = []
    for place in range(len(view.names)):
        column = view.values[:, place]
        if view.dates[place]:
            continue
        if column[0] == column[1] or column[0] != np.rint(column[0]):  # most columns are out at this look
            continue
        known = column[np.isfinite(column)]
        if len(known) < max(_FEWEST_ROWS, 0.9 * len(column)) or len(np.unique(known)) < len(known):
            continue
        if not view.numeric[place] or _counts(column, view):
            found.append(place)
    return found


def _counts(column: Floats, view: View) -> bool:
    """Whether distinct numbers are whole and dense, or rise from row to row."""
    known = np.isfinite(column)
    values = column[known]
    if not (values == np.rint(values)).all():
        return False
    in_file = values[np.argsort(view.places[known])]
    steps = np.diff(in_file)
    dense = values.max() - values.min() + 1 <= _SPREAD * np.ptp(view.places[known]) and len(values) > _FEWEST_ROWS
    return bool(dense or (steps > 0).all() or (steps < 0).all())


def owners(view: View, problem: Problem) -> list[int]:
    """Columns that look like ids of patients, donors or the like, with several rows for most of them."""
    return [
        place
        for place in range(len(view.names))
        if _may_own(view, place) and (_is_named(view.names[place]) or _reads_like_ids(view, place, problem))
    ]


def _may_own(view: View, place: int) -> bool:
    if view.numeric[place] and not _is_named(view.names[place]):
        return False
    known = view.values[:, place]
    known = known[np.isfinite(known)]
    if len(known) < _FEWEST_ROWS or not (known == np.rint(known)).all():
        return False
    counts = np.unique(known, return_counts=True)[1]
    return len(counts) >= _FEWEST_GROUPS and _FEWEST_REPEATS <= len(known) / len(counts) <= _MOST_ROWS_PER_GROUP


def _is_named(name: str) -> bool:
    return not _OWNERS.isdisjoint(part.lower() for part in _PARTS.findall(name))


def _reads_like_ids(view: View, place: int, problem: Problem) -> bool:
    texts: pd.Series[Any] = problem.X.iloc[view.places, place].dropna().astype(str).drop_duplicates()
    # Codes with more rows each are as likely codes of what was found, such as diagnoses.
    most = _MOST_ROWS_PER_CODE * len(texts)
    if view.numeric[place] or len(texts) < 2 * _FEWEST_GROUPS or np.isfinite(view.values[:, place]).sum() > most:
        return False
    return bool(texts.map(lambda text: _ID_TEXT.fullmatch(text) is not None).mean() >= _ID_SHARE)


def group_tellers(view: View, groups: "pd.Series[Any]") -> list[int]:
    """Columns by which rows of one group are found: in their order, each group's rows stand together."""
    labels = pd.factorize(groups.iloc[view.places].astype(str))[0].astype(np.int64)
    if len(labels) < _FEWEST_ROWS or labels.max() + 1 > len(labels) / _FEWEST_REPEATS:
        return []
    found: list[int] = []
    for start, block in view.blocks():
        ordered = labels[np.argsort(block, axis=0, kind="stable")]
        changes = (ordered[1:] != ordered[:-1]).sum(axis=0)
        found += (start + np.flatnonzero(is_sorted(changes, labels, view.values.shape[1]))).tolist()
    return found
