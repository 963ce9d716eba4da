"""What is to be learned from which rows and columns."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from handlers.splits import Split, split

ProblemType = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True, slots=True)
class Problem:
    """n rows that have a target (and a group, if groups were asked for), ready to learn from.

    `X`: (n, p), unique column names, the file's own types. `y`: class codes 0..k-1 (int64), or values (float64).
    `target` and `groups`: the same rows as they stand in the file. `rows`: their positions in it, ascending.
    `classes`: labels by code; with two of them the last is the positive one.
    """

    X: pd.DataFrame
    y: np.ndarray[Any, Any]
    target: "pd.Series[Any]"
    groups: "pd.Series[Any] | None"
    rows: np.ndarray[Any, np.dtype[np.int64]]
    problem_type: ProblemType
    classes: tuple[Any, ...] | None
    target_column: str
    group_column: str | None
    dataset_sha256: str
    n_rows_dropped: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str] | None:
        """The classes as text, in the order of the codes."""
        return None if self.classes is None else [str(label) for label in self.classes]

    def split(self) -> Split:
        """The parts, as positions among these n rows."""
        return split(self.dataset_sha256, self.target_column, self.target, self.group_column, self.groups)
