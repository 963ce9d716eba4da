"""From a request and a table to a problem that can be learned, or a sentence that says why not."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from events.errors import ReasonCode
from events.requests import TrainingRequested
from handlers.contract import DatasetFile, JobRefused
from handlers.splits import MIN_STRATUM_ROWS, is_known

from .columns import choose_columns, quote
from .problem import Problem, ProblemType
from .reading import annotation_columns, read_table

MIN_ROWS = 20
MIN_GROUPS = 5
MIN_CLASS_ROWS = MIN_STRATUM_ROWS
#: Whole numbers with at most this many values are classes, where nobody says otherwise.
MOST_INTEGER_CLASSES = 20
_MOST_CLASSES_SHARE = 0.1


def load_problem(request: TrainingRequested, dataset: DatasetFile) -> Problem:
    """Reads the dataset and takes from it what the request means.

    Raises:
        JobRefused: with the reason; the message names columns, never a value in them.
    """
    return problem_in(read_table(dataset), request, dataset)


def problem_in(frame: pd.DataFrame, request: TrainingRequested, dataset: DatasetFile) -> Problem:
    """Takes from a table, as `read_table` has read it, what the request means.

    Raises:
        JobRefused: see `load_problem`.
    """
    header = [str(name) for name in frame.columns]
    choice = choose_columns(request, header, annotation_columns(dataset))
    target = frame.iloc[:, choice.target]
    groups = None if choice.group is None else frame.iloc[:, choice.group]
    known = is_known(target)
    if not known.any():
        raise _refusal(ReasonCode.TARGET_EMPTY, request, "has no values: fill it in, or choose another")
    grouped = known if groups is None else known & groups.notna().to_numpy()
    rows = np.flatnonzero(grouped).astype(np.int64)
    if len(rows) < MIN_ROWS:
        raise _refusal(ReasonCode.TOO_FEW_ROWS, request, f"has {len(rows)} usable rows: at least {MIN_ROWS} are needed")
    target = target.iloc[rows].reset_index(drop=True)
    problem_type = _problem_type(request, target)
    y, classes = _encode(request, target, problem_type)
    groups = None if groups is None else groups.iloc[rows].reset_index(drop=True)
    _check_groups(request, groups, y if classes else None)
    X = frame.iloc[rows, choice.features].reset_index(drop=True)
    if not any(X.iloc[:, place].nunique() > 1 for place in range(X.shape[1])):
        raise JobRefused(
            ReasonCode.NO_FEATURES,
            f"every feature column has one value or none beside the target column {quote([request.target_column])}: "
            "there is nothing to learn from",
        )
    X.columns = pd.Index([header[place] for place in choice.features], dtype=object)
    return Problem(
        X=X,
        y=y,
        target=target.rename(request.target_column),
        groups=groups,
        rows=rows,
        problem_type=problem_type,
        classes=classes,
        target_column=request.target_column,
        group_column=request.group_column,
        dataset_sha256=dataset.sha256,
        n_rows_dropped=len(frame) - len(rows),
        warnings=[*choice.warnings, *_about_rows(len(frame), int(known.sum()), len(rows)), *_about_empty(X)],
    )


def _about_rows(n_all: int, n_known: int, n_used: int) -> list[str]:
    left_out = {"target": n_all - n_known, "group": n_known - n_used}
    return [f"{count} rows without a {what} are left out" for what, count in left_out.items() if count]


def _about_empty(X: pd.DataFrame) -> list[str]:
    empty = int(X.isna().to_numpy().all(axis=0).sum())
    return [f"{empty} feature columns hold no values"] if empty else []


def _problem_type(request: TrainingRequested, target: "pd.Series[Any]") -> ProblemType:
    """As asked; else by the target: text, categories and booleans are classes, as are whole numbers with at most
    20 values of which each is seen in 10 rows on average, and any two numbers. All other numbers are a quantity."""
    n_distinct = int(target.nunique())
    if n_distinct == 1:
        reason = ReasonCode.TARGET_CONSTANT if _is_quantity(target) else ReasonCode.TARGET_ONE_CLASS
        raise _refusal(reason, request, "has the same value in every row: there is nothing to tell apart")
    if request.problem_type == "regression":
        if not _is_quantity(target):
            raise _refusal(
                ReasonCode.TARGET_NOT_NUMERIC, request, "is not numeric: ask for classification, or clean the column"
            )
        return "regression"
    if request.problem_type is None and _is_quantity(target) and not _few_whole_numbers(target, n_distinct):
        if _counts_rows(target):
            raise _refusal(
                ReasonCode.TARGET_IS_ID,
                request,
                "numbers the rows: if it is a quantity, ask for problem_type regression",
            )
        return "regression"
    return "binary" if n_distinct == 2 else "multiclass"


def _is_quantity(target: "pd.Series[Any]") -> bool:
    return bool(types.is_numeric_dtype(target.dtype)) and not types.is_bool_dtype(target.dtype)


def _few_whole_numbers(target: "pd.Series[Any]", n_distinct: int) -> bool:
    if n_distinct == 2:
        return True
    few = n_distinct <= min(MOST_INTEGER_CLASSES, _MOST_CLASSES_SHARE * len(target))
    return few and bool((target.astype(float) % 1 == 0).all())


def _counts_rows(target: "pd.Series[Any]") -> bool:
    return bool((target.astype(float).diff().iloc[1:] == 1).all())


def _encode(
    request: TrainingRequested, target: "pd.Series[Any]", problem_type: ProblemType
) -> tuple[np.ndarray[Any, Any], tuple[Any, ...] | None]:
    if problem_type == "regression":
        return target.to_numpy(dtype=np.float64), None
    labels = target if _is_quantity(target) or types.is_bool_dtype(target.dtype) else target.astype(str)
    codes, distinct = pd.factorize(labels, sort=True)
    _check_classes(request, np.bincount(codes), is_text=labels.dtype == object)
    return codes.astype(np.int64), tuple(_plain(label) for label in distinct)


def _plain(label: Any) -> Any:
    """A label as JSON knows it; whole numbers that a gap has made floats become whole again."""
    value = label.item() if hasattr(label, "item") else label
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_classes(request: TrainingRequested, counts: np.ndarray[Any, Any], is_text: bool) -> None:
    if len(counts) == counts.sum():
        if is_text:
            raise _refusal(ReasonCode.TARGET_IS_ID, request, "has another value in every row: it is an id, no class")
        raise _refusal(
            ReasonCode.TARGET_IS_ID, request, "has another value in every row: ask for problem_type regression"
        )
    small = int((counts < MIN_CLASS_ROWS).sum())
    if small:
        raise _refusal(
            ReasonCode.TARGET_CLASS_TOO_SMALL,
            request,
            f"has {len(counts)} classes, of which {small} have fewer than {MIN_CLASS_ROWS} rows (the smallest has "
            f"{counts.min()}): each needs at least {MIN_CLASS_ROWS}, so merge classes or leave their rows out",
        )


def _check_groups(
    request: TrainingRequested, groups: "pd.Series[Any] | None", codes: np.ndarray[Any, Any] | None
) -> None:
    if groups is None:
        return
    name = quote([request.group_column or ""])
    if (n_groups := int(groups.nunique())) < MIN_GROUPS:
        raise JobRefused(
            ReasonCode.GROUPS_TOO_FEW,
            f"the group column {name} has {n_groups} groups: at least {MIN_GROUPS} are needed to keep groups apart",
        )
    if codes is None:
        return
    lonely = int((pd.DataFrame({"class": codes, "group": groups}).groupby("class")["group"].nunique() < 2).sum())
    if lonely:
        raise JobRefused(
            ReasonCode.GROUPS_TOO_FEW,
            f"{lonely} classes of the target column {quote([request.target_column])} are found in one group only of "
            f"{name}: such a class cannot be both learned and tested",
        )


def _refusal(reason: ReasonCode, request: TrainingRequested, what: str) -> JobRefused:
    return JobRefused(reason, f"the target column {quote([request.target_column])} {what}")
