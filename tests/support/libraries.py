"""Fixtures of modules: libraries are imported before a test, without their warnings, as before a job.

_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)
"""

import importlib
import warnings
from collections.abc import Iterator


def for_tracking() -> None:
    """MLflow."""
    _imported("mlflow.pyfunc")


def for_learning() -> Iterator[None]:
    """MLflow and AutoGluon, and torch on one thread."""
    import torch

    _imported("mlflow.pyfunc", "autogluon.tabular")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _imported(*names: str) -> None:
    with warnings.catch_warnings():  # they warn about their own type hints, and about each other
        warnings.simplefilter("ignore")
        for name in names:
            importlib.import_module(name)
