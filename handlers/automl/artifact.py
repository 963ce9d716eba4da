"""The artifact: an MLflow model directory that predicts by itself, anywhere AutoGluon is installed."""

import json
import logging
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from handlers.datasets.problem import Problem
from handlers.metrics import Predictions

_SERVED = Path(__file__).with_name("served.py")
_PACKAGES = ("mlflow", "pandas", "numpy", "scikit-learn", "torch")


def write_artifact(cleaned: Any, problem: Problem, directory: Path) -> None:
    """Makes `directory` (not there yet) an MLflow pyfunc model of a cleaned `TabularPredictor`.

    It holds no example of an input: an example would be a row.
    """
    _quiet_mlflow()
    import mlflow.pyfunc

    about = Path(cleaned.path).with_name("about.json")
    about.write_text(json.dumps(_about(cleaned, problem), ensure_ascii=False), encoding="utf-8")
    mlflow.pyfunc.save_model(
        path=str(directory),
        python_model=str(_SERVED),
        artifacts={"predictor": cleaned.path, "about": str(about)},
        pip_requirements=requirements(),
    )
    _forget_this_machine(directory)


def _quiet_mlflow() -> None:
    # Read when MLflow is used: it would call home, and draw bars, from every job.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    # It warns that it finds no signature. The model checks its columns itself: a signature would refuse a table
    # whose whole numbers are written as 1.0.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)


def _about(cleaned: Any, problem: Problem) -> dict[str, Any]:
    return {
        "features": list(cleaned.features()),
        "target_column": problem.target_column,
        "problem_type": problem.problem_type,
        "classes": problem.classes,
    }


def _forget_this_machine(directory: Path) -> None:
    """Makes the paths in MLmodel relative, and removes what Python has compiled on the way."""
    from mlflow.models import Model

    path = directory / "MLmodel"
    model = Model.load(str(path))
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    model.save(str(path))
    for cache in directory.rglob("__pycache__"):
        shutil.rmtree(cache)


def requirements() -> list[str]:
    """Exactly what was trained with: told here, because MLflow's own search for it takes seconds."""
    boosters = f"autogluon.tabular[catboost,lightgbm,xgboost]=={version('autogluon.tabular')}"
    # A local build's «+cpu» is on no index.
    return [boosters, *(f"{name}=={version(name).partition('+')[0]}" for name in _PACKAGES)]


def predict(directory: Path, X: pd.DataFrame, y: Any, problem: Problem) -> Predictions:
    """What the finished artifact says about rows: loaded the way a reader would load it."""
    import mlflow.pyfunc

    answer = mlflow.pyfunc.load_model(str(directory)).predict(X)
    if problem.classes is None:
        return Predictions(y, answer["prediction"].to_numpy(dtype=float))
    code_of = {label: code for code, label in enumerate(problem.classes)}
    said = answer["prediction"].map(code_of).to_numpy(dtype="int64")
    return Predictions(y, said, answer.iloc[:, 1:].to_numpy(dtype=float))
