"""AutoML against bare AutoGluon: the same 60 s, the same training and test rows, five seeds, six real tables.

    .venv/bin/python -m benchmarks.referee [--seeds 5] [--tables wine,khan] [--seconds 60] [--quality good]

Each run is a process of its own with one core. A seed gives each table other training and test rows (it enters in
the place of the file's hash) and the models other random numbers. Every run's test predictions are kept in
benchmarks/.cache, so that an interrupted run goes on where it was. What is printed: for each table the mean score of
three arms on the test rows of all seeds, and ours minus bare AutoGluon with a 95 % interval from 5,000 paired resamples
of test rows within each seed; once in points (1 % of accuracy, 0.01 of R²), once in log-loss (for numbers: RMSE).
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .automl_job import ONE_CORE, Silent
from .paired import Measure, as_said, differences, interval, loss, points
from .referee_data import TABLES
from .wheels import CACHE

ARMS = ("ours", "bare")
_KEPT = CACHE / "referee"
#: What each arm said, out of the runs of one seed.
_SAID: dict[str, Callable[[Any], Any]] = {
    "bare": lambda run: run["bare"]["said"],
    "ours": lambda run: run["ours"]["said"],
    "linear": lambda run: run["ours"]["plain"],
}


def main() -> None:
    asked = _asked()
    if asked.one:
        table, seed, arm = asked.one.split("/")
        return _one(table, int(seed), arm, asked)
    for seed in range(asked.seeds):
        for name in asked.tables.split(","):
            # Turn and turn about, so that a busy minute of the machine falls on both.
            for arm in ARMS if seed % 2 == 0 else ARMS[::-1]:
                _ensure(name, seed, arm, asked)
    _report(asked)
    return None


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--quality", default="good")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _kept(table: str, seed: int, arm: str, asked: argparse.Namespace) -> Path:
    what = f"ours-{asked.quality}" if arm == "ours" else arm
    return _KEPT / f"{table}-{asked.seconds}s-{seed}-{what}.json"


def _ensure(table: str, seed: int, arm: str, asked: argparse.Namespace) -> None:
    path = _kept(table, seed, arm, asked)
    if not path.exists():
        print(f"{table}, seed {seed}, {arm} …", file=sys.stderr, flush=True)
        told = ["--one", f"{table}/{seed}/{arm}", "--seconds", str(asked.seconds), "--quality", asked.quality]
        command = [sys.executable, "-m", "benchmarks.referee", *told]
        subprocess.run(command, check=True, env={**os.environ, **ONE_CORE}, stdout=subprocess.DEVNULL)


def _one(name: str, seed: int, arm: str, asked: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    import torch

    from handlers.contract import DatasetFile
    from handlers.datasets.target import load_problem

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.parquet"
        TABLES[name]().to_parquet(path)
        digest = hashlib.sha256(f"{name}/{seed}".encode()).hexdigest()
        dataset = DatasetFile("d", path, "parquet", digest)
        request = _request(asked, seed)
        problem = load_problem(request, dataset)
        begun = time.monotonic()
        fit = _ours if arm == "ours" else _bare
        said, plain = fit(request, dataset, problem, Path(folder))
        took = time.monotonic() - begun
    parts = problem.split()
    told = {"seconds": took, "y": problem.y[parts.test].tolist(), "said": said, "plain": plain}
    _KEPT.mkdir(parents=True, exist_ok=True)
    _kept(name, seed, arm, asked).write_text(json.dumps(told))


def _request(asked: argparse.Namespace, seed: int) -> Any:
    from events.requests import AutomlRequested

    return AutomlRequested(
        dataset_id="d", target_column="target", quality=asked.quality, time_limit=asked.seconds, seed=seed
    )


def _ours(request: Any, dataset: Any, problem: Any, folder: Path) -> tuple[Any, Any]:
    from handlers.automl.artifact import predict
    from handlers.automl.handler import run
    from handlers.baselines import fit_plain
    from handlers.contract import Inputs, Limits, Outputs

    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    run(request, Inputs(dataset, limits=Limits(cpus=1)), out, Silent())
    parts = problem.split()
    X, y = problem.X, problem.y
    said = predict(out.model, X.iloc[parts.test], y[parts.test], problem)
    n_classes = None if problem.classes is None else len(problem.classes)
    plain = fit_plain(X.iloc[parts.train], y[parts.train], X.iloc[parts.test], y[parts.test], n_classes)
    return as_said(said), as_said(plain.predictions)


def _bare(request: Any, dataset: Any, problem: Any, folder: Path) -> tuple[Any, Any]:
    from autogluon.tabular import TabularPredictor

    from handlers.metrics import Predictions

    parts = problem.split()
    train = problem.X.iloc[parts.train].assign(target=problem.y[parts.train]).reset_index(drop=True)
    predictor = TabularPredictor("target", problem_type=problem.problem_type, path=str(folder / "bare"), verbosity=0)
    predictor.fit(train, time_limit=request.time_limit, presets="medium_quality", num_cpus=1, num_gpus=0)
    X, y = problem.X.iloc[parts.test], problem.y[parts.test]
    predicted = predictor.predict(X).to_numpy()
    if problem.classes is None:
        return as_said(Predictions(y, predicted)), None
    probabilities = predictor.predict_proba(X)[range(len(problem.classes))].to_numpy()
    return as_said(Predictions(y, predicted, probabilities)), None


def _report(asked: argparse.Namespace) -> None:
    tables = asked.tables.split(",")
    runs = {
        name: [
            {arm: json.loads(_kept(name, seed, arm, asked).read_text()) for arm in ARMS} for seed in range(asked.seeds)
        ]
        for name in tables
    }
    told = f"means of {asked.seeds} seeds, differences with 95 % intervals; positive: ours is better"
    for title, measure in _MEASURES.items():
        print(f"\n{title}; {told}")
        print(f"{'table':13} {'bare':>8} {'ours':>8} {'linear':>8}    ours against bare")
        for name in tables:
            print(_line(name, runs[name], measure))
        pooled = sum(_differences(runs[name], measure) for name in tables) / len(tables)
        low, high = interval(pooled)
        print(f"{'pooled':13} {'':26}    {pooled.mean():+7.3f} [{low:+7.3f}, {high:+7.3f}]")
    slowest = max((run["ours"]["seconds"], name) for name in tables for run in runs[name])
    print(f"\nthe longest job of ours took {slowest[0]:.0f} s ({slowest[1]})")


def _line(name: str, runs: list[Any], measure: Measure) -> str:
    means = {arm: np.mean([measure(_truth(run), said(run))[0] for run in runs]) for arm, said in _SAID.items()}
    drawn = _differences(runs, measure)
    low, high = interval(drawn)
    shown = " ".join(f"{abs(means[arm]):8.3f}" for arm in _SAID)
    return f"{name:13} {shown}    {means['ours'] - means['bare']:+7.3f} [{low:+7.3f}, {high:+7.3f}]"


def _truth(run: Any) -> Any:
    return np.array(run["ours"]["y"])


def _differences(runs: list[Any], measure: Measure) -> Any:
    """Ours minus bare."""
    return differences(((_truth(run), _SAID["ours"](run), _SAID["bare"](run)) for run in runs), measure)


_MEASURES: dict[str, Measure] = {
    "points (1 % of accuracy, 0.01 of R²)": points,
    "log-loss (RMSE in standard deviations for diabetes)": loss,
}


if __name__ == "__main__":
    main()
