"""Doubts about columns that a reader should settle before believing a score; said in sentences that name columns.

They look at training rows alone. No sentence holds a value.
"""

from collections.abc import Callable, Sequence

import numpy as np

from handlers.datasets.columns import quote
from handlers.datasets.problem import Problem
from handlers.splits import Indices, Split
from handlers.suspects.copies import row_hashes
from handlers.suspects.giveaways import giveaways
from handlers.suspects.ids import group_tellers, owners, row_ids
from handlers.suspects.view import view_of

#: Data whose rows are mostly copies of each other have few columns of few values: copies mean nothing there.
_USUAL_COPIES = 0.5


def suspicions(problem: Problem, train: Indices) -> list[str]:
    """At most six sentences, the gravest first. Looks at 5,000 rows and 4,000,000 cells at most."""
    if len(train) < 2 or not problem.X.shape[1]:
        return []
    view = view_of(problem, train)
    ids = row_ids(view)
    shared = owners(view, problem) if problem.groups is None else []
    found = giveaways(view, is_regression=problem.classes is None)
    told = {*found.disguised, *found.missing}
    tell = [] if problem.groups is None else group_tellers(view, problem.groups)
    lists: list[tuple[Callable[[str], str], Sequence[int]]] = [
        (_disguised, [place for place in found.disguised if place not in shared]),
        (_missing, found.missing),
        (_owner, shared),
        (_strong, [place for place in found.strong if place not in shared]),
        (_telling_groups, [place for place in tell if place not in told]),
        (_row_id, [place for place in ids if place not in told and place not in shared and place not in tell]),
    ]
    return [sentence(quote([view.names[place] for place in places])) for sentence, places in lists if places]


def names_of_people_and_rows(problem: Problem, train: Indices) -> list[str]:
    """Feature columns of text that name patients, samples or rows: a model would keep their words as its vocabulary."""
    if len(train) < 2 or not problem.X.shape[1]:
        return []
    view = view_of(problem, train)
    suspects = {*row_ids(view), *owners(view, problem)}
    return [view.names[place] for place in sorted(suspects) if not view.numeric[place]]


def duplicates(problem: Problem, parts: Split) -> list[str]:
    """One sentence where rows of the test or combination part have the features of a training row."""
    hashes = row_hashes(problem.X)
    train = np.unique(hashes[parts.train])
    if len(train) < _USUAL_COPIES * len(parts.train):
        return []
    counts = {
        "test": int(np.isin(hashes[parts.test], train).sum()),
        "combination": int(np.isin(hashes[parts.combination], train).sum()),
    }
    told = " and ".join(f"{count} {name} rows" for name, count in counts.items() if count)
    if not told:
        return []
    return [f"{told} have the same features as a training row, which flatters the scores: drop copies from the data"]


def _disguised(names: str) -> str:
    return (
        f"Columns that give the target away: {names}. Alone they tell it nearly without an error, as a copy of the "
        f"target does, or what was made from it. Leave them out (exclude_columns), or the scores mean nothing"
    )


def _missing(names: str) -> str:
    return (
        f"Columns whose gaps give the target away: {names}. They are filled in for some classes and empty for the "
        f"others: leave them out (exclude_columns), or fill them in alike"
    )


def _owner(names: str) -> str:
    return (
        f"Columns that look like ids of patients or the like, with several rows each: {names}. Rows of one may stand "
        f"on both sides of the split, which flatters the scores: name the right one as group_column"
    )


def _strong(names: str) -> str:
    return (
        f"Columns that alone tell the classes apart nearly without an error: {names}. A real marker may do so; what "
        f"is known only after the outcome does too, and is to be left out (exclude_columns)"
    )


def _telling_groups(names: str) -> str:
    return (
        f"Columns that tell which group a row belongs to: {names}. A model can learn the groups by heart from them, "
        f"which helps with no new group: leave them out (exclude_columns), unless new groups are measured alike"
    )


def _row_id(names: str) -> str:
    return (
        f"Columns that number or name the rows: {names}. They say nothing about new rows: "
        f"leave them out (exclude_columns)"
    )
