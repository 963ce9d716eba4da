"""A finished network as an MLflow model directory: its weights, and the code that reads them.

artifacts/network/    what `networks.saved` writes
artifacts/code/       a copy of `networks` as it was then
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.datasets.problem import Problem
from handlers.mlflow_models import described, pinned, predict, write_model

if TYPE_CHECKING:
    from handlers.networks.network import Network
    from handlers.networks.table import TableEncoder

__all__ = ["predict", "saved_in", "write_network"]

_CODE = Path(__file__).parents[1] / "networks"
_PACKAGES = ("mlflow", "numpy", "pandas", "safetensors", "torch")


def write_network(network: "Network", table: "TableEncoder", problem: Problem, directory: Path) -> None:
    """Makes `directory` (not there yet) an MLflow pyfunc model of a network and the reader of its tables."""
    from handlers.networks.saved import save

    with tempfile.TemporaryDirectory(prefix="network-", dir=directory.parent) as work:
        network_folder, code_folder = Path(work) / "network", Path(work) / "code"
        save(network_folder, network, table, described(table.columns, problem))
        shutil.copytree(_CODE, code_folder, ignore=lambda _, names: [name for name in names if _is_left_out(name)])
        write_model(directory, {"network": network_folder, "code": code_folder}, requirements(network))


def _is_left_out(name: str) -> bool:
    return name.startswith((".", "__pycache__")) or not name.endswith(".py")


def requirements(network: "Network") -> list[str]:
    """Exactly what was trained with; libraries of pretrained networks only where one is inside."""
    return pinned(*_PACKAGES, *_libraries(network.arguments()["encoder"]))


def _libraries(encoder: Mapping[str, Any]) -> list[str]:
    if "inner" in encoder:
        return _libraries(encoder["inner"])
    if encoder["name"] != "vision":
        return []
    return ["torchvision"] if encoder.get("family") == "torchvision" else ["timm", "torchvision"]


def saved_in(directory: Path) -> Path:
    """The folder in such a model that `networks.saved.load` reads."""
    return directory / "artifacts" / "network"
