"""The record of a run: what else decided its numbers, beside request and data."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions

_PACKAGES = (
    "autogluon-tabular", "catboost", "lightgbm", "mlflow", "numpy", "pandas", "pytorch-lightning", "scikit-learn",
    "timm", "torch", "torchvision", "xgboost", "xgboost-cpu",
)  # fmt: skip


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """The time while this is open goes into `phase`."""
        begun = time.monotonic()
        yield
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + time.monotonic() - begun, 3)


def packages() -> dict[str, str]:
    """Versions of what decides the numbers, as far as installed."""
    installed = {found.name.lower().replace(".", "-").replace("_", "-"): found.version for found in distributions()}
    return {name: installed[name] for name in _PACKAGES if name in installed}


def hardware() -> dict[str, str | int]:
    """The kind of machine. Its name and address are nobody's business."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - read up to the line that is wanted
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return "unknown"
