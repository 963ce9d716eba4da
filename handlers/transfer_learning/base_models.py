"""What `base_model` means: where pretrained weights come from, and what they are called there.

Reading a name imports nothing heavy and looks nothing up, so a misspelt one is refused before anything is waited for.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from events.errors import OmniScopeError, ReasonCode
from events.identifiers import is_identifier
from handlers.datasets.columns import did_you_mean

from .known_weights import BUNDLED, TORCHVISION

Source = Literal["job", "bundled", "torchvision", "timm", "hf", "file"]
SOURCES: tuple[Source, ...] = get_args(Source)

#: How a file with weights may be called: tensors alone, or what `torch.load(weights_only=True)` reads.
SUFFIXES = (".safetensors", ".pth", ".pt")

_OF_OURS = re.compile(r"(AutoML|DeepLearning|TransferLearning|Ensemble)_[0-9a-f]{8}\Z")
_TIMM = re.compile(r"[A-Za-z0-9_]{1,80}\.[A-Za-z0-9_]{1,80}\Z")
_HUB_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB = re.compile(rf"{_HUB_PART}/{_HUB_PART}\Z")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model by its source and its name there: «torchvision:resnet50»."""

    source: Source
    name: str

    def __str__(self) -> str:
        return f"{self.source}:{self.name}"

    @property
    def repository(self) -> str | None:
        """Its repository on the Hugging Face hub, where it has one: timm's are those of the organisation `timm`."""
        return {"timm": f"timm/{self.name}", "hf": self.name}.get(self.source)


def parse(base_model: str) -> BaseModel:
    """What is meant by `base_model`; a bare name is torchvision's.

    Raises:
        OmniScopeError: `invalid_field`.
    """
    source, colon, name = base_model.partition(":")
    if not colon:
        source, name = "torchvision", base_model
    known = next((one for one in SOURCES if one == source), None)
    if known is None:
        raise _invalid(
            f"begins with {_quoted(source[:40] + ':')}{did_you_mean([source], SOURCES)}: begin it with "
            f"{', '.join(f'{one}:' for one in SOURCES)} or, for a torchvision model, with its bare name"
        )
    if not name:
        raise _invalid("names no model: send for example resnet50, or job:<model_id>")
    return BaseModel(known, _NAMES[known](name))


def _job(name: str) -> str:
    if not is_identifier(name):
        raise _invalid("names no model after «job:»: send job:<model_id>, as omniscope-ml models shows it")
    return name


def _bundled(name: str) -> str:
    if name not in BUNDLED:
        raise _invalid(
            f"names bundled weights that are not known: {_quoted(name)}{did_you_mean([name], BUNDLED)}; "
            f"there are {', '.join(f'bundled:{known}' for known in BUNDLED)}"
        )
    return name


def _torchvision(name: str) -> str:
    if name not in TORCHVISION:
        raise _invalid(
            f"names no torchvision model that classifies pictures: {_quoted(name)}{_elsewhere(name)}; "
            "omniscope-ml weights list --known shows all of them"
        )
    return name


def _elsewhere(name: str) -> str:
    """What may have been meant by a bare name that torchvision does not have."""
    if name in BUNDLED:
        return f" (did you mean «bundled:{name}»?)"
    if _OF_OURS.match(name):
        return " (a model trained here is called job:<model_id>, as omniscope-ml models shows it)"
    if name.endswith(SUFFIXES):
        return " (a file of yours is called file:/its/path)"
    if _TIMM.match(name):
        return f" (did you mean «timm:{name}»?)"
    if _HUB.match(name):
        return f" (did you mean «hf:{name}»?)"
    return did_you_mean([name], TORCHVISION)


def _timm(name: str) -> str:
    if not _TIMM.match(name):
        raise _invalid(
            f"names no pretrained timm model: {_quoted(name)}. Its weights are called by model and tag, as in "
            "timm:resnet50.a1_in1k, which is timm/resnet50.a1_in1k on the Hugging Face hub"
        )
    return name


def _hf(name: str) -> str:
    if not _HUB.match(name) or ".." in name:
        raise _invalid(
            f"names no repository of the Hugging Face hub: {_quoted(name)}. Send hf:<organisation>/<name>, "
            "as in hf:timm/resnet50.a1_in1k"
        )
    return name


def _file(name: str) -> str:
    path = _path(name)
    if not path.startswith("/") or not path.isprintable():
        raise _invalid(f"names no file: {_quoted(name)}. Send file: and an absolute path, on the worker's machine")
    if not path.endswith(SUFFIXES):
        raise _invalid(f"names a file that is none with weights: {_quoted(name)} must end with {', '.join(SUFFIXES)}")
    return path


def _path(name: str) -> str:
    """The path in `file:///percent%20encoded`, or in `file:/taken/literally`."""
    if not name.startswith("//"):
        return name
    try:
        parts = urlsplit(f"file:{name}")
    except ValueError:  # brackets that hold no address
        return ""
    return unquote(parts.path) if parts.netloc in ("", "localhost") else ""


_NAMES: dict[Source, Callable[[str], str]] = {
    "job": _job,
    "bundled": _bundled,
    "torchvision": _torchvision,
    "timm": _timm,
    "hf": _hf,
    "file": _file,
}


def _quoted(name: str) -> str:
    return "«" + "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name[:100]) + "»"


def _invalid(what: str) -> OmniScopeError:
    return OmniScopeError(ReasonCode.INVALID_FIELD, f"data.base_model {what}")
