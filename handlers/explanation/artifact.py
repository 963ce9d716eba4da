"""The files of an explanation.

values.parquet     one line for each sample and output: `_row`, `_class`, `_base_value`, `_prediction`, then each
                   feature's value
importance.json    all features, most important first, with intervals and for each class; interactions
samples.json       every sample's answers and largest contributions
features.parquet   the samples' own cells, only where they were asked for
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from events.explanations import ExplainedSample
from handlers.attribution.values import Floats
from handlers.splits import Indices

from .columns import BASE, CLASS, PREDICTION, ROW, column_names
from .findings import Findings
from .interactions import Interaction
from .ranking import Ranking

VALUES, IMPORTANCE, SAMPLES, FEATURES = "values.parquet", "importance.json", "samples.json", "features.parquet"
_DIGITS, _MOST_DIGITS = 6, 12


def write_values(path: Path, findings: Findings, rows: Indices, classes: Sequence[str | None]) -> None:
    """n·c lines, sample by sample; `rows` (n,) of the dataset, `classes` (c,): None for numbers."""
    import pyarrow as arrow

    n, _, c = findings.values.shape
    columns = {
        ROW: arrow.array(np.repeat(rows, c)),
        CLASS: arrow.array(list(classes) * n, type=arrow.string()),
        BASE: arrow.array(findings.base.reshape(-1)),
        PREDICTION: arrow.array(findings.predictions.reshape(-1)),
    }
    for place, name in enumerate(column_names(findings.features)):
        columns[name] = arrow.array(_to_twelve_digits(findings.values[:, place, :]))
    _write(arrow.table(columns), path)


def _to_twelve_digits(values: Floats) -> Floats:
    """(n·c,) with the digits that sums of doubles can promise.

    What a network reckoned in single precision has doubles with empty halves: these would read as 2 and -2, and look
    like cells of a table that has many of them.
    """
    size = np.floor(np.log10(np.abs(values), where=values != 0, out=np.zeros_like(values)))
    scale = 10.0 ** np.clip(_MOST_DIGITS - 1 - size, -300, 300)
    return np.ascontiguousarray(np.round(values * scale) / scale).reshape(-1)


def write_features(path: Path, table: pd.DataFrame, rows: Indices) -> None:
    """(n, 1 + p): the samples' own cells as they stand in the dataset."""
    import pyarrow as arrow

    columns = {ROW: arrow.array(rows)}
    for place, name in enumerate(column_names([str(name) for name in table.columns])):
        columns[name] = arrow.array(_one_type(table.iloc[:, place]), from_pandas=True)
    _write(arrow.table(columns), path)


def _one_type(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Words and numbers in one column become words: Parquet knows no such mixture."""
    if column.dtype != object:
        return column
    return column.where(column.isna(), column.map(str, na_action="ignore")).where(column.notna(), None)


def _write(table: Any, path: Path) -> None:
    import pyarrow.parquet as parquet

    # Ranges of values are of no use here, and of 20,000 columns they are most of a file. Each column is packed by
    # itself; the row scan would open every one of them a second time where zstd had packed it.
    parquet.write_table(table, path, compression="snappy", use_dictionary=[CLASS], write_statistics=False)


def write_importance(
    path: Path, findings: Findings, ranking: Ranking, classes: Sequence[str | None], found: Sequence[Interaction]
) -> None:
    order, names = ranking.order, findings.features
    told: dict[str, Any] = {
        "version": 1,
        "features": [names[place] for place in order],
        "importance": _short(ranking.importance[order]),
        "low": _short(ranking.low[order]),
        "high": _short(ranking.high[order]),
        "interactions": [
            {"feature": names[one.feature], "with": names[one.partner], "strength": _short([one.strength])[0]}
            for one in found
        ],
    }
    if len(classes) > 1:
        told["classes"] = {str(name): _short(ranking.by_output[order, place]) for place, name in enumerate(classes)}
    _write_json(path, told)


def write_samples(path: Path, samples: Sequence[ExplainedSample], stabilities: Floats | None) -> None:
    told: list[dict[str, Any]] = [sample.model_dump(exclude_none=True) for sample in samples]
    if stabilities is not None:
        for one, stability in zip(told, _short(stabilities), strict=True):
            one["stability"] = stability
    _write_json(path, {"version": 1, "samples": told})


def _short(values: Any) -> list[float | None]:
    """Six digits; null where nothing is known."""
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in np.asarray(values).tolist()]


def _write_json(path: Path, told: dict[str, Any]) -> None:
    path.write_text(json.dumps(told, ensure_ascii=False, allow_nan=False), encoding="utf-8")
