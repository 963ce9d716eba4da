"""What every training does first: reads, splits, doubts."""

from dataclasses import dataclass, replace

import numpy as np

from events.errors import ReasonCode
from events.requests import TrainingRequested
from handlers.contract import Inputs, JobRefused
from handlers.datasets.columns import quote
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.provenance import Clock
from handlers.splits import Split
from handlers.suspicions import duplicates, names_of_people_and_rows, suspicions


@dataclass(frozen=True, slots=True)
class Prepared:
    """A problem that can be learned, its parts, and doubts about its columns; `whole` has the columns left out, too."""

    whole: Problem
    problem: Problem
    parts: Split
    doubts: list[str]


def prepare(request: TrainingRequested, inputs: Inputs, clock: Clock) -> Prepared:
    """Reads what a request means, deals the rows out, and leaves out what names patients or rows.

    Raises:
        JobRefused: the data cannot be learned from as asked.
    """
    with clock("read"):
        if inputs.dataset is None:
            raise JobRefused(ReasonCode.DATASET_UNKNOWN, "the request names no dataset that could be read")
        whole = load_problem(request, inputs.dataset)
        parts = whole.split()
        _check_train(whole, parts)
    with clock("suspicions"):
        doubts = [*suspicions(whole, parts.train), *duplicates(whole, parts)]
        return Prepared(whole, _without_names(request, whole, parts), parts, doubts)


def _check_train(problem: Problem, parts: Split) -> None:
    """Groups can keep a class out of training; one that is never shown cannot be learned."""
    if problem.classes is None:
        return
    missing = len(problem.classes) - len(np.unique(problem.y[parts.train]))
    if missing:
        raise JobRefused(
            ReasonCode.GROUPS_TOO_FEW,
            f"{missing} classes of the target column «{problem.target_column}» are in too few groups of "
            f"«{problem.group_column}» to be both learned and tested: add groups, or leave these classes out",
        )


def _without_names(request: TrainingRequested, problem: Problem, parts: Split) -> Problem:
    """Ids of patients and rows are no features, unless the request names them as such: they would stay as words."""
    if request.feature_columns is not None:
        return problem
    names = names_of_people_and_rows(problem, parts.train)
    kept = problem.X.drop(columns=names)
    if not names or not kept.shape[1]:
        return problem
    told = f"Not learned from, as they name patients or rows: {quote(names)}. Name them in feature_columns to use them"
    return replace(problem, X=kept, warnings=[*problem.warnings, told])
