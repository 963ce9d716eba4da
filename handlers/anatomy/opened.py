"""A finished model's directory, opened as a reader would open it: what it is made of and what it answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from events.errors import ReasonCode
from handlers.attribution.values import Floats
from handlers.contract import JobRefused

PREDICTOR, NETWORK, ENSEMBLE, OTHER = "predictor", "network", "ensemble", "other"
#: Where each kind tells of its features and classes, within `artifacts`.
_ABOUT = {PREDICTOR: "about.json", NETWORK: "network/about.json", ENSEMBLE: "ensemble/combination.json"}


@dataclass(frozen=True, slots=True)
class Opened:
    """What lies in a model's directory. `about` has its `features` and `classes` (None: a regression)."""

    path: Path
    kind: str
    about: dict[str, Any]

    @property
    def features(self) -> list[str]:
        return [str(name) for name in self.about["features"]]

    @property
    def n_outputs(self) -> int:
        """1 for numbers and for two classes, else one for each class."""
        k = len(self.about["classes"] or ())
        return k if k > 2 else 1

    def as_answers(self, said: Any) -> Floats:
        """(n,) values or (n, k) probabilities as the (n, c) answers that are explained."""
        said = np.asarray(said, dtype=np.float64)
        if said.ndim == 1:
            return np.atleast_2d(said).T
        return np.asarray(said[:, 1:] if self.n_outputs == 1 and said.shape[1] == 2 else said)


def opened(path: Path, facts: dict[str, Any]) -> Opened:
    """What is in `path`; `facts` tell of a model that does not tell of itself.

    Raises:
        JobRefused: `model_unsuitable`: it is no model, or damaged.
    """
    if not (path / "MLmodel").is_file():
        raise unsuitable("it is no MLflow model directory")
    artifacts = path / "artifacts"
    kind = next((kind for kind in (NETWORK, ENSEMBLE, PREDICTOR) if (artifacts / kind).is_dir()), OTHER)
    try:
        about = json.loads((artifacts / _ABOUT[kind]).read_text(encoding="utf-8")) if kind in _ABOUT else dict(facts)
        return Opened(path, kind, {"features": about["features"], **about, "classes": about["classes"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unsuitable("what it tells of its features and classes cannot be read") from error


def unsuitable(why: str) -> JobRefused:
    """The refusal to take apart what is no whole model."""
    return JobRefused(ReasonCode.MODEL_UNSUITABLE, f"the model cannot be opened: {why}")


def served(model: Opened) -> Any:
    """What predicts, an MLflow `PythonModel` or pyfunc model; a network in the code that came with it.

    Raises:
        JobRefused: `model_unsuitable`.
    """
    try:
        if model.kind == OTHER:
            import mlflow.pyfunc

            return mlflow.pyfunc.load_model(str(model.path))
        from handlers.served import ServedModel

        found = ServedModel()
        inside = {path.stem: str(path) for path in (model.path / "artifacts").iterdir()}
        found.load_context(SimpleNamespace(artifacts=inside))
        return found
    # Whatever a stranger's model raises when it is opened; without its words, which may quote its rows.
    except Exception as error:
        raise unsuitable(f"{type(error).__name__} when it was loaded") from error


def asking(model: Opened, whom: Any) -> Callable[[pd.DataFrame], Floats]:
    """The answers of a served model, (n, c)."""

    def ask(table: pd.DataFrame) -> Floats:
        answer = whom.predict(table) if model.kind == OTHER else whom.predict(None, table)
        said = answer["prediction"] if model.about["classes"] is None else answer.iloc[:, 1:]
        return model.as_answers(said.to_numpy(dtype=np.float64))

    return ask


def combining(model: Opened) -> Callable[[dict[str, Any], Floats], Any]:
    """How the answers of an ensemble's members become one, in the code that came with it.

    Raises:
        JobRefused: `model_unsuitable`.
    """
    path = model.path / "artifacts" / "ensemble" / "code" / "combining.py"
    space: dict[str, Any] = {"__name__": "combining"}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)  # noqa: S102 - part of the model
        found: Callable[[dict[str, Any], Floats], Any] = space["combined"]
    except (OSError, SyntaxError, KeyError) as error:
        raise unsuitable("the arithmetic of the ensemble is missing") from error
    return found
