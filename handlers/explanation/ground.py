"""What a model was made from, read again: its dataset, its target and features, and the rows it was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from events.errors import ReasonCode
from events.requests import TrainingRequested
from handlers.contract import DatasetFile, JobRefused, ModelFiles
from handlers.datasets.columns import quote
from handlers.datasets.problem import Problem
from handlers.datasets.reading import read_table
from handlers.datasets.target import problem_in
from handlers.splits import Indices, Split

#: What of a training's request decides which rows and columns it means.
_DECIDES = ("target_column", "feature_columns", "exclude_columns", "group_column", "problem_type")


@dataclass(frozen=True, slots=True)
class Ground:
    """`frame`: the whole file. `problem`: its rows that have a target, and `parts` of them as they were dealt out."""

    frame: pd.DataFrame
    problem: Problem
    parts: Split

    def table(self, features: Sequence[str], rows: Indices) -> pd.DataFrame:
        """(n, p): the cells of `features` in these rows of the file, numbered anew.

        Raises:
            JobRefused: `model_unsuitable`: the model wants columns that the dataset does not have.
        """
        places: dict[str, int] = {}
        for place, name in enumerate(self.frame.columns):
            places.setdefault(str(name), place)
        if missing := [name for name in features if name not in places]:
            raise JobRefused(
                ReasonCode.MODEL_UNSUITABLE,
                f"the model wants columns that its dataset does not have: {quote(missing)}: train it again",
            )
        table = self.frame.iloc[rows, [places[name] for name in features]].reset_index(drop=True)
        table.columns = pd.Index(list(features), dtype=object)
        return table

    def groups(self, rows: Indices) -> np.ndarray[Any, Any] | None:
        """(n,): the group of each of these rows of the file; a row without one is a group of its own."""
        name = self.problem.group_column
        if name is None:
            return None
        values = self.frame.iloc[rows, [str(column) for column in self.frame.columns].index(name)]
        known = values.notna().to_numpy()
        alone = [f"\x1f{place}" for place in range(len(values))]
        return np.where(known, values.astype(str).to_numpy(dtype=object), np.array(alone, dtype=object)).astype(str)


def read_again(model: ModelFiles, models: Mapping[str, ModelFiles], dataset: DatasetFile) -> Ground:
    """Reads the dataset as the model's training read it.

    Raises:
        JobRefused: `model_unsuitable`: what is recorded of the model does not say how it was trained; else see
            `load_problem`.
    """
    request = TrainingRequested(dataset_id=dataset.dataset_id, **_training(model, models))
    frame = read_table(dataset)
    problem = problem_in(frame, request, dataset)
    parts = problem.split()
    recorded = model.facts.get("split_id")
    if recorded and recorded != parts.split_id:
        raise JobRefused(
            ReasonCode.DATASET_CHANGED,
            f"the rows of dataset {dataset.dataset_id} are dealt out otherwise than when the model was trained, so the "
            "data are others: train a model on what they are now, and explain that one",
        )
    return Ground(frame, problem, parts)


def _training(model: ModelFiles, models: Mapping[str, ModelFiles]) -> dict[str, Any]:
    """The fields of the request that say what the model learns. An ensemble learns what its members do."""
    config: Mapping[str, Any] = model.facts.get("training_config") or {}
    if config.get("target_column"):
        return {name: config[name] for name in _DECIDES if name in config}
    plan = model.facts.get("plan") or {}
    problem = plan.get("problem") or {}
    if problem.get("target_column"):
        return {name: problem[name] for name in _DECIDES if name in problem}
    for member in plan.get("members") or []:
        if (found := models.get(member.get("model_id", ""))) is not None and found is not model:
            return _training(found, models)
    raise JobRefused(
        ReasonCode.MODEL_UNSUITABLE,
        f"the record of model {model.model_id} does not say what it was trained on: train it again",
    )
