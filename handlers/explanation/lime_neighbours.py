"""Rows that nobody measured, each cell drawn from the training rows' column on its own.

LIME's neighbours do not depend on the sample that they are neighbours of: only their weights do. So all samples share
the same ones, and the model answers them once. Each sample's explanation has the law that it has in `lime`.

Other than there, values within a bin are the training rows' own and not draws from a normal law: whole numbers stay
whole, zeros stay zeros, gaps and words are drawn in the same way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from handlers.attribution.values import Floats

from .lime_bins import Bins

#: Cells drawn and answered at a time: 160 MB.
_MOST_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class Neighbours:
    """N rows: `bins` (N, p) that their cells are in, and the model's `answers` (N, c)."""

    bins: Bins
    answers: Floats


def neighbours(
    training: pd.DataFrame,
    bins: Bins,
    count: int,
    answer: Callable[[pd.DataFrame], Floats],
    rng: np.random.Generator,
) -> Iterator[float | Neighbours]:
    """Draws `count` rows from `training` (m, p), whose cells are in `bins` (m, p), and has them answered.

    Yields the share that is done, and at last what there is.
    """
    own = np.empty((count, bins.shape[1]), dtype=_smallest(bins), order="F")
    answers: list[Floats] = []
    step = max(1, _MOST_CELLS // max(1, bins.shape[1]))
    for begin in range(0, count, step):
        drawn = rng.integers(0, len(training), size=(bins.shape[1], min(step, count - begin)), dtype=np.int32).T
        own[begin : begin + len(drawn)] = _taken(bins, drawn)
        answers.append(answer(_table(training, drawn)))
        yield (begin + len(drawn)) / count
    yield Neighbours(own, np.concatenate(answers))


def _taken(values: "np.ndarray[Any, Any]", drawn: "np.ndarray[Any, np.dtype[np.int32]]") -> "np.ndarray[Any, Any]":
    """Column by column: each lies in the processor's cache while it is drawn from."""
    return np.take_along_axis(np.ascontiguousarray(values.T), drawn.T, axis=1).T


def _smallest(bins: Bins) -> Any:
    return np.int8 if bins.max(initial=0) < 127 else np.int16


def _table(training: pd.DataFrame, drawn: "np.ndarray[Any, np.dtype[np.int32]]") -> pd.DataFrame:
    """Cell (i, j) is that of training row drawn[i, j], in the column's own type."""
    types: dict[Any, list[int]] = {}
    for place, dtype in enumerate(training.dtypes):
        types.setdefault(dtype if isinstance(dtype, np.dtype) else (place, str(dtype)), []).append(place)
    blocks = []
    for dtype, places in types.items():
        if isinstance(dtype, np.dtype):
            values = training.iloc[:, places].to_numpy(dtype=dtype)
            blocks.append(pd.DataFrame(_taken(values, drawn[:, places])))
        else:
            column = training.iloc[:, places[0]].take(drawn[:, places[0]].tolist())
            blocks.append(column.reset_index(drop=True).to_frame())
    table = pd.concat(blocks, axis="columns")
    order = np.argsort(np.concatenate([np.array(places) for places in types.values()]))
    table = table.iloc[:, order] if len(types) > 1 else table
    return table.set_axis(training.columns, axis="columns")
