"""Which network a base model is: a family, torchvision's or timm's, and a name in it."""

import json
import re
from pathlib import Path
from typing import Any

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.networks.backbones import SUPPORTED

from .base_models import BaseModel
from .known_weights import BUNDLED, TORCHVISION

_LITE = re.compile(r"efficientnet-(lite\d)\b")


def architecture(base: BaseModel, path: Path | None) -> tuple[str, str]:
    """The family and the name; `path`: its file, beside which a repository of the hub has its config.json.

    Raises:
        JobRefused: `invalid_field`, a file's name does not begin with an architecture's; `model_unsuitable`, a
            repository of the hub tells no architecture that timm has.
    """
    if base.source == "torchvision":
        return "torchvision", base.name
    if base.source == "bundled":
        return "timm", BUNDLED[base.name].architecture
    if base.source == "timm":
        return "timm", base.name.partition(".")[0]
    if base.source == "hf":
        return "timm", _of_repository(base, path)
    return _of_file(base)


def _of_repository(base: BaseModel, path: Path | None) -> str:
    told = _config(path).get("architecture") if path is not None else None
    name = str(told or base.name.rpartition("/")[2]).partition(".")[0]
    if not _in_timm(name):
        raise JobRefused(
            ReasonCode.MODEL_UNSUITABLE,
            f"base_model «{base}» tells no architecture that timm has, in its config.json or its name: send a vision "
            f"model of timm; supported are {SUPPORTED}",
        )
    return name


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads((path.parent / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_file(base: BaseModel) -> tuple[str, str]:
    """By the longest name with which the file's name begins: «resnet50-11ad3fa6.pth»."""
    stem = Path(base.name).stem
    if lite := _LITE.match(stem):
        return "timm", f"tf_efficientnet_{lite[1]}"
    begins = [name for name in TORCHVISION if re.match(re.escape(name) + r"(?![a-zA-Z0-9])", stem)]
    if begins:
        return "torchvision", max(begins, key=len)
    if _in_timm(name := re.split(r"[.-]", stem)[0]):
        return "timm", name
    raise JobRefused(
        ReasonCode.INVALID_FIELD,
        "base_model names a file that does not tell its architecture: let its name begin with one, as torchvision's "
        "do: resnet50-11ad3fa6.pth",
    )


def _in_timm(name: str) -> bool:
    from handlers.networks.torchvision_guard import import_torchvision

    import_torchvision()
    import timm

    return bool(timm.is_model(name))
