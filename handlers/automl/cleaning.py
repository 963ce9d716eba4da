"""Takes out of a fitted predictor what would show rows of the training data."""

import pickle
import re
import shutil
from pathlib import Path
from typing import Any

_FEATURE_INFOS = re.compile(r"^feature_infos=(.*)$", re.MULTILINE)
#: What AutoGluon keeps to train further: rows, row ids and out-of-fold probabilities.
_TRAINING_FILES = ("utils",)
#: What a search of settings over folds leaves beside each model: the rows it learned from.
_ROWS = "dataset_*.pkl"


def clean_clone(predictor: Any, directory: Path) -> Any:
    """A copy of the predictor below `directory` with its best model alone, without training rows; it predicts alike.

    `predictor` is an `autogluon.tabular.TabularPredictor`, as is the result.
    """
    from autogluon.tabular import TabularPredictor

    predictor.clone_for_deployment(path=str(directory), model="best", dirs_exist_ok=False)
    for name in _TRAINING_FILES:
        for found in sorted(directory.rglob(name)):
            shutil.rmtree(found, ignore_errors=True)
    for path in sorted(directory.rglob(_ROWS)):
        path.unlink()
    for path in sorted((directory / "models").rglob("model.pkl")):
        _clean_model_file(path)
    return TabularPredictor.load(str(directory), verbosity=0)


def _clean_model_file(path: Path) -> None:
    """Rewrites one model of the predictor just trained in this process."""
    with path.open("rb") as file:
        model = pickle.load(file)  # noqa: S301 - written by ourselves a moment ago
    children = [child for child in getattr(model, "models", None) or [] if not isinstance(child, str)]
    n_stripped = sum(map(_strip_ranges, (model, *children)))
    if n_stripped:
        with path.open("wb") as file:
            pickle.dump(model, file, protocol=4)


def _strip_ranges(model: Any) -> bool:
    """Removes the smallest and largest training value of each feature, which LightGBM writes into its model.

    They serve plots alone: trees decide by their thresholds.
    """
    import lightgbm

    booster = getattr(model, "model", None)
    if not isinstance(booster, lightgbm.Booster):
        return False
    text = _FEATURE_INFOS.sub(_unbounded, booster.model_to_string(num_iteration=-1))
    stripped = lightgbm.Booster(model_str=text)
    stripped.best_iteration, stripped.params = booster.best_iteration, booster.params
    model.model = stripped
    return True


def _unbounded(line: "re.Match[str]") -> str:
    infos = line.group(1).split()
    # «none» marks a feature that is never used; the categories of a categorical one stay, they are needed.
    return "feature_infos=" + " ".join("[-1e308:1e308]" if info.startswith("[") else info for info in infos)
