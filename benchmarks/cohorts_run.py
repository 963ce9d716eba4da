"""One run of the cohorts' table, in a process of its own with one core.

    python -m benchmarks.cohorts_run source PAIR SEED ARCHITECTURE FOLDER
    python -m benchmarks.cohorts_run target PAIR ROWS SEED LAYERS SOURCE_FOLDER FILE

`source` trains a network on the pair's larger cohort and leaves the model in FOLDER. `target` draws rows of the smaller
cohort, as many as give ROWS training rows, and asks three models about all other rows of it: the source's network
transferred, the same network from scratch, and logistic regression. FOLDER and FILE are there only when all of it is.
"""

import hashlib
import json
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from events.requests import DeepLearningRequested, TransferLearningRequested
from handlers.baselines import fit_plain
from handlers.contract import DatasetFile, Inputs, Limits, ModelFiles, Outputs, Result
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.metrics import Predictions
from handlers.splits import MIN_ROWS_FOR_COMBINATION, MIN_STRATUM_ROWS, TEST_SHARE

from .automl_job import Silent
from .cohorts_data import PAIRS, TARGET
from .networks_run import ROOMS, code, keep
from .paired import as_said

#: What decides the numbers: runs of different code are not to be mixed.
COHORT_ROOMS = (*ROOMS, "transfer_learning")
_MODEL = "larger"


def source(pair: str, seed: str, architecture: str, folder: str) -> None:
    request = DeepLearningRequested.model_validate(_asked(int(seed)) | {"architecture": architecture})
    with tempfile.TemporaryDirectory() as name:
        out, result, seconds = _work(request, PAIRS[pair]().source, f"{pair}/{seed}", Path(name))
        assert result.model is not None
        told = {"target_column": TARGET, "training_config": request.model_dump(mode="json"), "seconds": seconds}
        (out.directory / "facts.json").write_text(json.dumps(result.model.model_dump(mode="json") | told))
        _move(out.directory, Path(folder))


def target(pair: str, rows: str, seed: str, layers: str, source_folder: str, file: str) -> None:
    table = PAIRS[pair]().target
    chosen = drawn(table[TARGET], int(rows), int(seed))
    sample, rest = table.iloc[chosen].reset_index(drop=True), table.drop(index=chosen).reset_index(drop=True)
    facts = json.loads((Path(source_folder) / "facts.json").read_text())
    model = ModelFiles(_MODEL, Path(source_folder) / "model", facts)
    asked, name = _asked(int(seed)), f"{pair}/{rows}/{seed}"
    depth: Any = layers if layers == "auto" else int(layers)
    transfer = TransferLearningRequested.model_validate(
        asked | {"base_model": f"job:{_MODEL}", "fine_tune_layers": depth}
    )
    scratch = DeepLearningRequested.model_validate(asked | {"architecture": facts["training_config"]["architecture"]})
    run: dict[str, Any] = {"code": code(COHORT_ROOMS), "seconds": {}, "said": {}}
    for arm, request in (("transfer", transfer), ("scratch", scratch)):
        with tempfile.TemporaryDirectory() as folder:
            problem, said, result, run["seconds"][arm] = _handled(request, sample, rest, name, Path(folder), model)
        run["said"][arm] = as_said(said)
        if arm == "transfer" and result.model is not None:
            run |= {"warnings": result.model.warnings, "hyperparameters": result.model.hyperparameters}
    begun = time.monotonic()
    plain = _linear(problem, rest)
    run["seconds"]["linear"], run["said"]["linear"] = time.monotonic() - begun, as_said(plain)
    keep(Path(file), run | {"n_train": len(problem.split().train), "y": plain.y.tolist()})


def drawn(classes: "pd.Series[Any]", n_train: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows for a small file of which about `n_train` train: of each class its share, but five at least.

    Raises:
        ValueError: so many rows would also be split into rows for a combination, or are not there.
    """
    n_rows = round(n_train / (1 - TEST_SHARE))
    if n_rows >= MIN_ROWS_FOR_COMBINATION or n_rows >= len(classes):
        raise ValueError(f"{n_train} training rows are too many for {len(classes)} rows")
    rng = np.random.default_rng(seed)
    shuffled = {name: rng.permutation(rows) for name, rows in sorted(classes.groupby(classes).indices.items())}
    least = [row for rows in shuffled.values() for row in rows[:MIN_STRATUM_ROWS]]
    others = rng.permutation([row for rows in shuffled.values() for row in rows[MIN_STRATUM_ROWS:]])
    # The others go to the classes that lack most of their share, so that the floor changes shares as little as it can.
    wanted = {name: n_rows * len(rows) / len(classes) for name, rows in shuffled.items()}
    have = dict.fromkeys(shuffled, MIN_STRATUM_ROWS)
    for row in others:
        name = classes.iloc[row]
        if len(least) < n_rows and have[name] < np.ceil(wanted[name]):
            least.append(row)
            have[name] += 1
    return np.sort(np.array(least, dtype=np.int64))


def _asked(seed: int) -> dict[str, Any]:
    return {"dataset_id": "d", "target_column": TARGET, "seed": seed}


def _work(
    request: Any, table: pd.DataFrame, name: str, folder: Path, *models: ModelFiles
) -> tuple[Outputs, Result, float]:
    """The handler's outputs and result, and the seconds of the whole job."""
    if isinstance(request, TransferLearningRequested):
        from handlers.transfer_learning.handler import run
    else:
        from handlers.deep_learning.handler import run
    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    out.keep.mkdir()
    inputs = Inputs(_dataset(table, name, folder), models={each.model_id: each for each in models}, limits=Limits(1))
    begun = time.monotonic()
    result = run(request, inputs, out, Silent())
    return out, result, time.monotonic() - begun


def _handled(
    request: Any, sample: pd.DataFrame, rest: pd.DataFrame, name: str, folder: Path, model: ModelFiles
) -> tuple[Problem, Predictions, Result, float]:
    from handlers.network_jobs.artifact import predict

    out, result, seconds = _work(request, sample, name, folder, model)
    problem = load_problem(request, _dataset(sample, name, folder))
    return problem, predict(out.model, _features(problem, rest), _codes(problem, rest), problem), result, seconds


def _linear(problem: Problem, rest: pd.DataFrame) -> Predictions:
    train = problem.split().train
    assert problem.classes is not None
    X, y = problem.X.iloc[train], problem.y[train]
    return fit_plain(X, y, _features(problem, rest), _codes(problem, rest), len(problem.classes)).predictions


def _dataset(table: pd.DataFrame, name: str, folder: Path) -> DatasetFile:
    path = folder / "data.parquet"
    table.to_parquet(path)
    return DatasetFile("d", path, "parquet", hashlib.sha256(name.encode()).hexdigest())


def _features(problem: Problem, rest: pd.DataFrame) -> pd.DataFrame:
    return rest[list(problem.X.columns)]


def _codes(problem: Problem, rest: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    assert problem.classes is not None
    return np.asarray(pd.Categorical(rest[TARGET], problem.classes).codes.astype(np.int64))


def _move(made: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(made, part)
    part.replace(folder)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    {"source": source, "target": target}[sys.argv[1]](*sys.argv[2:])
