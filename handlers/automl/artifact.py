"""The artifact: an MLflow model directory that predicts by itself, anywhere AutoGluon is installed."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from handlers.datasets.problem import Problem
from handlers.mlflow_models import described, pinned, predict, write_model

__all__ = ["predict", "write_artifact"]


def write_artifact(cleaned: Any, problem: Problem, directory: Path) -> None:
    """Makes `directory` (not there yet) an MLflow pyfunc model of a cleaned `TabularPredictor`."""
    about = Path(cleaned.path).with_name("about.json")
    told = described(list(cleaned.features()), problem)
    about.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    write_model(directory, {"predictor": Path(cleaned.path), "about": about}, requirements())


def requirements() -> list[str]:
    """Exactly what was trained with."""
    boosters = f"autogluon.tabular[catboost,lightgbm,xgboost]=={version('autogluon.tabular')}"
    return [boosters, *pinned("mlflow", "pandas", "numpy", "scikit-learn", "torch")]
