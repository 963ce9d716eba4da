"""torchvision where its compiled operators do not fit: simulated in a process of its own, for an import lasts."""

import subprocess
import sys

_WITHOUT_OPERATORS = """
import torch

def load_library(path):
    raise OSError("undefined symbol")

torch.ops.load_library = load_library
"""

_GUARDED = (
    _WITHOUT_OPERATORS
    + """
from handlers.networks.torchvision_guard import import_torchvision

torchvision = import_torchvision()
assert import_torchvision() is torchvision
network = torchvision.models.resnet18(weights=None)
network(torch.zeros(2, 3, 32, 32)).sum().backward()
import timm
print("works", network.conv1.weight.grad is not None, timm.is_model("resnet18"))
"""
)

_ABSENT = """
import sys
sys.modules["torchvision"] = None
from handlers.networks.torchvision_guard import import_torchvision
import_torchvision()
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=110)


def test_the_fault_is_the_one_that_is_guarded_against() -> None:
    ended = run(_WITHOUT_OPERATORS + "import torchvision")
    assert "operator torchvision::nms does not exist" in ended.stderr


def test_networks_work_without_the_operators() -> None:
    ended = run(_GUARDED)
    assert ended.stdout.strip() == "works True True", ended.stderr


def test_where_torchvision_is_absent_the_message_says_how_to_install_it() -> None:
    ended = run(_ABSENT)
    assert "torchvision is not installed" in ended.stderr
    assert "pip install 'omniscope-ml[worker]'" in ended.stderr
