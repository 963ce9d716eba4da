"""Finished models of every kind, trained in seconds, as an explanation finds them on disk."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from events.requests import AutomlRequested, DeepLearningRequested
from handlers.automl import handler as automl_handler
from handlers.automl import portfolio
from handlers.contract import DatasetFile, Inputs, Limits, ModelFiles, Outputs
from handlers.deep_learning import handler as deep_handler
from handlers.ensemble import combining
from handlers.mlflow_models import write_model
from handlers.network_jobs.artifact import write_network
from support.networks import network_of, problem_of


class Quiet:
    """A report that nobody reads."""

    def __call__(self, percent: float, message: str, **_: Any) -> None: ...

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None: ...


def rough(k: int, n: int = 160, p: int = 6, seed: int = 0) -> pd.DataFrame:
    """p genes whose interplay tells k classes, or a number where k is 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    amount = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + X[:, 3] + 0.2 * rng.normal(size=n)
    frame = pd.DataFrame(X, columns=[f"gène {place}" for place in range(p)])
    return frame.assign(target=_told(amount, k))


def mixed(k: int, n: int = 160, seed: int = 1) -> pd.DataFrame:
    """Numbers with gaps, counts, flags, words and dates."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 900, n)
    frame = pd.DataFrame(
        {
            "gène": rng.normal(size=n),
            "count": rng.integers(0, 9, n),
            "flag": rng.random(n) < 0.4,
            "ward": rng.choice(["α", "b", "c"], n),
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D"),
            "gap": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )
    amount = frame["gène"] * (1 + frame["flag"]) + 0.3 * frame["count"] + 1.5 * (frame["ward"] == "b") + 0.002 * days
    return frame.assign(target=_told((amount + frame["gap"].fillna(0)).to_numpy(), k))


def _told(amount: Any, k: int) -> Any:
    if k == 0:
        return 100 + 10 * amount
    return np.array(["a", "b", "c"])[np.digitize(amount, np.quantile(amount, np.arange(1, k) / k))]


def automl(frame: pd.DataFrame, folder: Path, *families: str, epochs: int = 4, **asked: Any) -> ModelFiles:
    """AutoML of some families alone, with few trees, and `epochs` for its own network."""
    careful, known = portfolio._careful, portfolio._FAMILIES

    def small(family: str, config: dict[str, Any], *more: Any) -> dict[str, Any]:
        few = {"GBM": {"num_boost_round": 30}, "XGB": {"n_estimators": 30}, "CAT": {"iterations": 30}}
        few |= {"RF": {"n_estimators": 20}, "XT": {"n_estimators": 20}, "NN_TORCH": {"num_epochs": epochs}}
        return careful(family, config, *more) | few.get(family, {})

    portfolio._careful, portfolio._FAMILIES = small, families
    try:
        request = {"dataset_id": "d", "target_column": "target", "quality": "medium", "time_limit": 60, **asked}
        return _run(automl_handler.run, AutomlRequested.model_validate(request), frame, folder)
    finally:
        portfolio._careful, portfolio._FAMILIES = careful, known


def deep(frame: pd.DataFrame, folder: Path, architecture: str, epochs: int = 10) -> ModelFiles:
    """A network that was trained for a moment."""
    request = {"dataset_id": "d", "target_column": "target", "architecture": architecture, "epochs": epochs}
    return _run(deep_handler.run, DeepLearningRequested.model_validate(request), frame, folder)


def _run(run: Any, request: Any, frame: pd.DataFrame, folder: Path) -> ModelFiles:
    out = Outputs(folder / "out", folder / "keep")
    for path in (out.directory, out.keep):
        path.mkdir(parents=True)
    frame.to_parquet(folder / "data.parquet")
    inputs = Inputs(DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32), limits=Limits(1))
    result = run(request, inputs, out, Quiet())
    return ModelFiles(folder.name, out.model, result.model.model_dump())


def untrained(frame: pd.DataFrame, folder: Path, encoder: str, mix: float = 0.4) -> ModelFiles:
    """A network as it was made, with a share of its deep path."""
    folder.mkdir(parents=True)
    problem = problem_of(frame.drop(columns="target"), frame["target"])
    network, table = network_of(problem, encoder)
    network.mix.fill_(mix)
    write_network(network, table, problem, folder / "model")
    return ModelFiles(folder.name, folder / "model", {})


def ensemble(members: list[ModelFiles], folder: Path, *, embedded: bool = True, **told: Any) -> ModelFiles:
    """An ensemble of members; `told`: what combination.json says beside them."""
    source = folder / "source"
    (source / "ensemble" / "code").mkdir(parents=True)
    (source / "members").mkdir()
    shutil.copyfile(str(combining.__file__), source / "ensemble" / "code" / "combining.py")
    (source / "ensemble" / "code" / "__init__.py").touch()
    for member in members:
        shutil.copytree(member.path, source / "members" / member.model_id)
    about = json.loads(next(members[0].path.rglob("about.json")).read_text(encoding="utf-8"))
    whom = [
        {
            "model_id": member.model_id,
            "name": member.model_id,
            "model_type": "any",
            "folder": f"members/{member.model_id}" if embedded else None,
            "artifacts_path": f"models/{member.model_id}",
            "files_sha256": "",
        }
        for member in members
    ]
    said = {"version": 1, "method": "voting", "voting": "soft", "weights": None, "meta": None, **told, "members": whom}
    (source / "ensemble" / "combination.json").write_text(json.dumps({**about, **said}), encoding="utf-8")
    write_model(folder / "model", {name: source / name for name in ("ensemble", "members")}, [])
    return ModelFiles(folder.name, folder / "model", {})


def only_deep(model: ModelFiles) -> None:
    """Gives a saved network's deep path all of the say."""
    from safetensors.torch import load_file, save_file

    path = model.path / "artifacts" / "network" / "weights.safetensors"
    weights = load_file(path)
    weights["mix"].fill_(1.0)
    save_file(weights, path)
