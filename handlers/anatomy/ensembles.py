"""Ensembles of ours: weighted sums of their members where answers are averaged, else asked as a whole."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from handlers.attribution.sums import Sum
from handlers.attribution.values import Floats, Part
from handlers.contract import ModelFiles

from .asked import AskedPart
from .opened import Opened, combining, unsuitable

Reader = Callable[[ModelFiles, Mapping[str, ModelFiles]], Part]


def ensemble_part(model: Opened, models: Mapping[str, ModelFiles], read: Reader) -> Part:
    """An ensemble by its members, which `read` takes apart: embedded ones, else those among `models`.

    Raises:
        JobRefused: `model_unsuitable`: a member is missing, or cannot be opened.
    """
    told = model.about
    parts = [_member(model, member, models, read) for member in told["members"]]
    if told["meta"] is None and told["voting"] == "soft":
        return Sum(model.features, parts, [float(weight) for weight in told["weights"]])
    if told["meta"] is not None and told["meta"]["kind"] == "ridge":
        weights = [float(weight) for weight in told["meta"]["coef"][0]]
        return Sum(model.features, parts, weights, float(told["meta"]["intercept"][0]))
    how = "a stacked" if told["meta"] is not None else "a voting"
    return AskedPart(model.features, model.n_outputs, _asking(model, parts), f"{how} ensemble is no weighted sum")


def _member(model: Opened, member: dict[str, Any], models: Mapping[str, ModelFiles], read: Reader) -> Part:
    model_id = str(member["model_id"])
    if member["folder"] is not None:
        path = model.path / "artifacts" / str(member["folder"])
        return read(ModelFiles(model_id, path, {}), models)
    if model_id not in models:
        raise unsuitable(f"its member {member['name']} ({model_id}) is not there")
    return read(replace(models[model_id]), models)


def _asking(model: Opened, parts: list[Part]) -> Callable[[pd.DataFrame], Floats]:
    """The members are asked in their parts, which is quick, and combined by the code in the artifact."""
    combined = combining(model)

    def ask(table: pd.DataFrame) -> Floats:
        return model.as_answers(combined(model.about, np.stack([_whole(part.answers(table), model) for part in parts])))

    return ask


def _whole(answers: Floats, model: Opened) -> Floats:
    """(n, c) answers as (n,) values or (n, k) probabilities."""
    if model.about["classes"] is None:
        return answers[:, 0]
    return np.hstack([1 - answers, answers]) if model.n_outputs == 1 else answers
