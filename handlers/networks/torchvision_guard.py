"""Imports torchvision also where its compiled operators do not fit the torch that is installed.

The package index has one torchvision for all: built against the CUDA build of torch. Beside a CPU build its library
does not load, and the import ends in «operator torchvision::nms does not exist», because shapes are registered for
operators that nobody defined; timm and transformers, which import it, end with it. The operators are for detecting
objects. Defined by name alone, never carried out, they let everything else work.
"""

import importlib
import sys
from types import ModuleType

import torch

_OPERATORS = ("nms", "qnms")
#: Definitions last as long as the library object that made them.
_kept: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """torchvision. Call it before importing timm, which imports torchvision itself.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        message = "torchvision is not installed, pretrained vision networks need it: pip install 'omniscope-ml[worker]'"
        raise ModuleNotFoundError(message, name="torchvision") from error
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    _define_operators()
    return importlib.import_module("torchvision")


def _define_operators() -> None:
    """Forgets the half-imported package and defines what it missed."""
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
