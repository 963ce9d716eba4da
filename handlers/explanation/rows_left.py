"""An explanation holds no cell of the dataset but those that were asked for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from handlers.datasets.problem import Problem
from handlers.row_scan import ScanReport, refuse_rows
from handlers.splits import Indices


def refuse_other_rows(directory: Path, problem: Problem, shown: pd.DataFrame | None, rows: Indices) -> ScanReport:
    """Searches an explanation's files for cells of the dataset's rows.

    Not looked for: the targets of the explained `rows` of the file, which a model that knows them by heart answers to
    the last digit; and, where they were asked for, their cells, `shown`, and others of the same value.

    Raises:
        JobRefused: `row_in_artifact`.
    """
    return refuse_rows(directory, _looked_for(problem, shown, rows), "explanation")


def _looked_for(problem: Problem, shown: pd.DataFrame | None, rows: Indices) -> Problem:
    target = problem.target
    if problem.classes is None:
        own = np.isin(problem.rows, rows)
        target = target.astype(np.float64).mask(target.isin(target[own]))
    if shown is None:
        return replace(problem, target=target)
    return replace(problem, target=target, X=_without(problem.X, shown))


def _without(X: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """The table with gaps in place of what is shown, column by column."""
    places = {name: place for place, name in enumerate(shown.columns)}
    columns = [
        _masked(X.iloc[:, place], shown.iloc[:, places[name]]) if name in places else X.iloc[:, place]
        for place, name in enumerate(X.columns)
    ]
    return pd.concat(columns, axis="columns")


def _masked(column: "pd.Series[Any]", shown: "pd.Series[Any]") -> "pd.Series[Any]":
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    if kind == "b":
        return column
    if kind not in "iuf":
        return column.mask(column.isin(shown.dropna()))
    values = column.to_numpy()
    kept = np.where(np.isin(values, shown.to_numpy()), np.nan, values.astype(np.float64))
    return pd.Series(kept, index=column.index, name=column.name)
