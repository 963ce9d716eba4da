"""The environment a job sees: what programs need to run, and nothing the agent knows.

A list of what may pass, not of what may not: a secret nobody thought of stays outside as well.
"""

import os
import site
from collections.abc import Mapping, Sequence
from pathlib import Path

import infra

#: Passed on where the agent has them. The last three let CUDA find its libraries and its devices.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME")

_FIXED = {
    "PYTHONUTF8": "1",
    "PYTHONHASHSEED": "0",  # the order of a set of strings is part of a reproducible run
    "MPLBACKEND": "Agg",
    # One slot is one core until the job says otherwise; libraries read these when they are loaded. Without the
    # short spin, two OpenMP jobs on two cores wait for each other six times longer than they work.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    # pyarrow's allocator would start a thread at import, and a process that is forked from should have one.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # No library calls home, and none waits for a network that a job does not have.
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "GIT_PYTHON_REFRESH": "quiet",
}


def clean_environment(path: Sequence[Path] = (), agent: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The whole environment of a warm server and so of every job. `path`: folders to import handlers from."""
    passed = {name: agent[name] for name in _PASSED if name in agent}
    return {"LANG": "C.UTF-8", **passed, **_FIXED, "PYTHONPATH": os.pathsep.join(map(str, _import_path(path, agent)))}


def _import_path(path: Sequence[Path], agent: Mapping[str, str]) -> list[Path]:
    """Our own root first, so that a checkout works from any directory.

    An installed package is found anyway, and its site-packages must not come before the standard library.
    """
    root = Path(infra.__file__).resolve().parent.parent
    installed = {Path(folder).resolve() for folder in [*site.getsitepackages(), site.getusersitepackages()]}
    own = [] if root in installed else [root]
    told = [Path(entry) for entry in agent.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return [*own, *path, *told]
