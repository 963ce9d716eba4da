"""MLflow model directories, whatever trained the model: written without a trace of this machine, read back to score."""

import logging
import os
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from handlers.datasets.problem import Problem
from handlers.metrics import Predictions

_SERVED = Path(__file__).with_name("served.py")


def write_model(directory: Path, artifacts: Mapping[str, Path], requirements: list[str]) -> None:
    """Makes `directory` (not there yet) a pyfunc model: `served.py` with copies of the files or folders it reads.

    It holds no example of an input: an example would be a row.
    """
    _quiet_mlflow()
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        path=str(directory),
        python_model=str(_SERVED),
        artifacts={name: str(path) for name, path in artifacts.items()},
        pip_requirements=requirements,
    )
    _forget_this_machine(directory)


def _quiet_mlflow() -> None:
    # Read when MLflow is used: it would call home, and draw bars, from every job.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    # It warns that it finds no signature. The model checks its columns itself: a signature would refuse a table
    # whose whole numbers are written as 1.0.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)


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
    _forget_compiled(directory)


def _forget_compiled(directory: Path) -> None:
    for cache in directory.rglob("__pycache__"):
        shutil.rmtree(cache)


def pinned(*names: str) -> list[str]:
    """Exactly what is installed: told here, because MLflow's own search for it takes seconds."""
    # A local build's «+cpu» is on no index.
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]


def described(features: list[str], problem: Problem) -> dict[str, Any]:
    """What a served model needs to know of its problem, as JSON data."""
    return {
        "features": features,
        "target_column": problem.target_column,
        "problem_type": problem.problem_type,
        "classes": problem.classes,
    }


def predict(directory: Path, X: pd.DataFrame, y: Any, problem: Problem) -> Predictions:
    """What the finished artifact says about rows: loaded the way a reader would load it, and left as it was."""
    _quiet_mlflow()
    import mlflow.pyfunc

    try:
        model = mlflow.pyfunc.load_model(str(directory))
    finally:
        _forget_compiled(directory)
    answer = model.predict(X)
    if problem.classes is None:
        return Predictions(y, answer["prediction"].to_numpy(dtype=float))
    code_of = {label: code for code, label in enumerate(problem.classes)}
    said = answer["prediction"].map(code_of).to_numpy(dtype="int64")
    return Predictions(y, said, answer.iloc[:, 1:].to_numpy(dtype=float))
