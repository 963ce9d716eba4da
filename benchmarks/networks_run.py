"""One run of the networks' table: a table, a seed, an arm; in a process of its own, forked from a warm one.

The seed gives the table other training and test rows (it enters in the place of the file's hash) and the model other
random numbers.
"""

import ast
import hashlib
import importlib
import json
import multiprocessing
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import handlers
from events.requests import AutomlRequested, DeepLearningRequested
from events.topics import JobKind
from handlers.contract import DatasetFile, Inputs, Limits, Outputs
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.metrics import Predictions
from handlers.registry import HANDLERS

from .automl_job import Silent
from .networks_data import TABLES
from .paired import as_said

_LONGEST_RUN_S = 3600
#: What decides a network's numbers: runs of different code are not to be mixed.
ROOMS = ("networks", "training", "deep_learning")


def apart(table: str, seed: int, arm: str, seconds: int, file: Path, errors: Path) -> bool:
    """Carries the run out in a process of its own; whether it left `file`. What it wrote of errors is in `errors`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *HANDLERS[JobKind.DEEP_LEARNING].preload])
    process = context.Process(target=_run, args=(table, seed, arm, seconds, file, errors))
    process.start()
    process.join(_LONGEST_RUN_S)
    if process.is_alive():
        process.kill()
        process.join()
        errors.write_text(f"not ended after {_LONGEST_RUN_S} s")
    return process.exitcode == 0


def _run(table: str, seed: int, arm: str, seconds: int, file: Path, errors: Path) -> None:
    """`file` (JSON) is there only when all of it is."""
    with errors.open("w") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    _count_seconds_of_the_core()
    asked = {"dataset_id": "d", "target_column": "target", "seed": seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        TABLES[table].read().to_parquet(folder / "data.parquet")
        digest = hashlib.sha256(f"{table}/{seed}".encode()).hexdigest()
        dataset = DatasetFile("d", folder / "data.parquet", "parquet", digest)
        if arm in ("linear", "automl"):
            asked |= {"problem_type": TABLES[table].problem_type, "quality": "good", "time_limit": seconds}
            request: Any = AutomlRequested.model_validate(asked)
        else:
            asked |= {"architecture": arm, **TABLES[table].asked(arm)}
            request = DeepLearningRequested.model_validate(asked)
        problem = load_problem(request, dataset)
        fit = {"linear": _linear, "automl": _automl}.get(arm, _network)
        predictions, record = fit(request, dataset, problem, folder)
    keep(Path(file), record | {"y": predictions.y.tolist(), "said": as_said(predictions), "code": code()})


def _count_seconds_of_the_core() -> None:
    """For this process a second is one that its core works for it: AutoML's limit means the same on a busy machine."""
    started = time.time() - time.process_time()
    time.time = lambda: started + time.process_time()
    time.monotonic = time.process_time


def _linear(_request: Any, _dataset: DatasetFile, problem: Problem, _folder: Path) -> tuple[Predictions, Any]:
    from handlers.baselines import fit_plain

    parts, X, y = problem.split(), problem.X, problem.y
    n_classes = None if problem.classes is None else len(problem.classes)
    begun = time.process_time()
    plain = fit_plain(X.iloc[parts.train], y[parts.train], X.iloc[parts.test], y[parts.test], n_classes)
    return plain.predictions, {"seconds": time.process_time() - begun}


def _automl(request: Any, dataset: DatasetFile, problem: Problem, folder: Path) -> tuple[Predictions, Any]:
    return _handled("handlers.automl.handler", "handlers.automl.artifact", request, dataset, problem, folder)


def _network(request: Any, dataset: DatasetFile, problem: Problem, folder: Path) -> tuple[Predictions, Any]:
    return _handled(
        "handlers.deep_learning.handler", "handlers.network_jobs.artifact", request, dataset, problem, folder
    )


def _handled(
    handler: str, artifact: str, request: Any, dataset: DatasetFile, problem: Problem, folder: Path
) -> tuple[Predictions, Any]:
    """What the artifact that the handler leaves says about the test rows; `seconds`: the core's, for all of the job."""
    run = importlib.import_module(handler).run
    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    out.keep.mkdir()
    begun = time.process_time()
    result = run(request, Inputs(dataset, limits=Limits(cpus=1)), out, Silent())
    seconds = time.process_time() - begun
    test = problem.split().test
    predictions = importlib.import_module(artifact).predict(out.model, problem.X.iloc[test], problem.y[test], problem)
    return predictions, {"seconds": seconds, "record": result.record, "summary": result.summary}


def code(rooms: tuple[str, ...] = ROOMS) -> str:
    """A digest of the networks' code as it stands; comments, docstrings and format do not count."""
    digest = hashlib.sha256()
    home = Path(handlers.__file__).parent
    for room in rooms:
        for path in sorted((home / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                    node.body = node.body[1:]
            digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:12]


def keep(path: Path, run: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(run, default=str))
    part.replace(path)
