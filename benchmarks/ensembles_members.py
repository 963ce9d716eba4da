"""Members for ensembles: models that our handlers make of one table and seed, kept in benchmarks/.cache/ensembles.

Each is trained in a process of its own on one core, forked from a warm one. Seconds are those that the core works for
it, AutoML's limit too: so a member is the same on a busy machine. The seed gives the table other training, combination
and test rows (it enters in the place of the file's hash) and the model other random numbers.
"""

import hashlib
import importlib
import json
import multiprocessing
import os
import shutil
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from events.outcomes import ModelCompleted
from events.requests import AutomlRequested, DeepLearningRequested
from events.topics import JobKind
from handlers.contract import DatasetFile, Inputs, Limits, ModelFiles, Outputs
from handlers.registry import HANDLERS

from . import referee_data
from .automl_job import Silent
from .wheels import CACHE

KEPT = CACHE / "ensembles"
_LONGEST_S = 3600
_MEDIUM = {"quality": "medium"}
#: What each member is asked for; `_columns`: the share of the columns that it sees.
USUAL: dict[str, dict[str, Any]] = {
    "automl": {**_MEDIUM, "time_limit": 10},
    "cnn_1d": {"architecture": "cnn_1d", "epochs": 25},
    "transformer": {"architecture": "transformer", "epochs": 10},
    "even": {**_MEDIUM, "time_limit": 6, "_columns": slice(0, None, 2)},
    "odd": {**_MEDIUM, "time_limit": 6, "_columns": slice(1, None, 2)},
    "good": {"quality": "good", "time_limit": 20},
}
PLANTED: dict[str, dict[str, Any]] = {
    f"block {block}": {**_MEDIUM, "time_limit": 5, "_columns": slice(5 * block, 5 * block + 5)} for block in range(3)
}


def planted() -> pd.DataFrame:
    """600 rows whose class is decided by three things, of which each block of five columns shows one, with noise."""
    rng = np.random.default_rng(7)
    hidden = rng.normal(size=(600, 3))
    views = np.repeat(hidden, 5, axis=1) + 0.7 * rng.normal(size=(600, 15))
    ill = hidden.sum(axis=1) + 0.3 * rng.normal(size=600) > 0
    return pd.DataFrame(views, columns=[f"gene{i}" for i in range(15)]).assign(target=np.where(ill, "ill", "well"))


TABLES = {
    **{name: referee_data.TABLES[name] for name in ("breast_cancer", "digits", "pbmc68k", "diabetes")},
    "planted": planted,
}


def members_of(table: str) -> dict[str, dict[str, Any]]:
    """The members by name, and what each is asked for."""
    return PLANTED if table == "planted" else USUAL


def folder_of(table: str, seed: int, member: str) -> Path:
    """Where a member is kept: `model/` and `facts.json`."""
    return KEPT / f"{table}-{seed}-{member.replace(' ', '_')}"


def read(table: str, seed: int, member: str) -> ModelFiles:
    """A member that is there."""
    folder = folder_of(table, seed, member)
    facts = json.loads((folder / "facts.json").read_text())
    return ModelFiles(facts["model_id"], folder / "model", facts)


def ensure(table: str, seed: int, member: str) -> None:
    """Trains a member that is not there yet."""
    if (folder := folder_of(table, seed, member)).exists():
        return
    context = multiprocessing.get_context("forkserver")
    preload = [*HANDLERS[JobKind.AUTOML].preload, *HANDLERS[JobKind.DEEP_LEARNING].preload]
    context.set_forkserver_preload([__name__, *dict.fromkeys(preload)])
    process = context.Process(target=_train, args=(table, seed, member, folder))
    process.start()
    process.join(_LONGEST_S)
    if process.exitcode != 0:
        process.kill()
        raise SystemExit(f"{table}, seed {seed}, {member}: see {folder.with_suffix('.errors')}")


def dataset(table: str, seed: int, folder: Path) -> DatasetFile:
    """The table as a file in `folder`."""
    TABLES[table]().to_parquet(folder / "data.parquet")
    digest = hashlib.sha256(f"{table}/{seed}".encode()).hexdigest()
    return DatasetFile("d", folder / "data.parquet", "parquet", digest)


def _train(table: str, seed: int, member: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    errors = folder.with_suffix(".errors")
    with errors.open("w") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    warnings.simplefilter("ignore")
    importlib.import_module("torch").set_num_threads(1)
    _count_seconds_of_the_core()
    with tempfile.TemporaryDirectory() as name:
        file = dataset(table, seed, Path(name))
        request = _request(table, seed, member)
        out = Outputs(Path(name) / "out", Path(name) / "keep")
        out.directory.mkdir()
        out.keep.mkdir()
        room = "deep_learning" if isinstance(request, DeepLearningRequested) else "automl"
        run = importlib.import_module(f"handlers.{room}.handler").run
        begun = time.process_time()
        result = run(request, Inputs(file, limits=Limits(1)), out, Silent())
        facts = completed(result.model, request, file, out.model, f"{table}-{seed}-{member}")
        facts["environment"] = {"seconds": time.process_time() - begun}
        (out.directory / "facts.json").write_text(json.dumps(facts, default=str))
        shutil.move(out.directory, folder.with_suffix(".part"))
        folder.with_suffix(".part").rename(folder)
    errors.unlink()


def _request(table: str, seed: int, member: str) -> Any:
    asked = dict(members_of(table)[member])
    if (columns := asked.pop("_columns", None)) is not None:
        asked["feature_columns"] = [name for name in TABLES[table]().columns if name != "target"][columns]
    asked |= {"dataset_id": "d", "target_column": "target", "seed": seed}
    kind: Any = DeepLearningRequested if "architecture" in asked else AutomlRequested
    return kind.model_validate(asked)


def completed(model: Any, request: Any, file: DatasetFile, folder: Path, name: str) -> dict[str, Any]:
    """The facts as an agent would tell them of a finished model."""
    model_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return ModelCompleted(
        **model.model_dump(),
        model_id=model_id,
        model_name=name,
        job_id=model_id,
        dataset_id=file.dataset_id,
        dataset_sha256=file.sha256,
        target_column="target",
        artifacts_path=f"models/{model_id}/attempt-1",
        files=files,
        training_config=request.model_dump(mode="json"),
        created_at=datetime.now(UTC),
    ).model_dump(mode="json")


def _count_seconds_of_the_core() -> None:
    """For this process a second is one that its core works for it: AutoML's limit means the same on a busy machine."""
    started = time.time() - time.process_time()
    time.time = lambda: started + time.process_time()
    time.monotonic = time.process_time
