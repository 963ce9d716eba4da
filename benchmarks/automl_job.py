"""One AutoML job as a worker's process has it: libraries imported before it, one core, no broker."""

import importlib
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from events.requests import AutomlRequested
from events.topics import JobKind
from handlers.contract import DatasetFile, Inputs, Limits, Outputs, Result
from handlers.registry import HANDLERS

#: For the environment of a process: read when numpy and the boosters are loaded.
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}


def train(frame: pd.DataFrame, **asked: Any) -> tuple[Result, float]:
    """The result of a job on the table, whose target is `target`, and the seconds that all of it took."""
    _import_libraries()
    from handlers.automl.handler import run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame.to_parquet(folder / "data.parquet")
        out = Outputs(folder / "out", folder / "keep")
        out.directory.mkdir()
        inputs = Inputs(DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32), limits=Limits(cpus=1))
        request = AutomlRequested.model_validate({"dataset_id": "d", "target_column": "target", **asked})
        begun = time.monotonic()
        result = run(request, inputs, out, Silent())
        return result, time.monotonic() - begun


def busy() -> str:
    """A remark where others use this machine so much that times mean little; empty otherwise."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return f"(load {load:.1f} on {cores} cores: these times are too long)" if load > cores else ""


def _import_libraries() -> None:
    warnings.simplefilter("ignore")
    for module in HANDLERS[JobKind.AUTOML].preload:
        importlib.import_module(module)


class Silent:
    """A way back to nobody."""

    def __call__(self, *_: object, **__: object) -> None: ...

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None: ...
