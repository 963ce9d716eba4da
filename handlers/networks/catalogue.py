"""The encoders that there are, by the name that requests and files use."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .encoder import Encoder

#: Imported when asked for: they may bring libraries of their own, or hold others.
_CLASSES = {
    "cnn_1d": ("cnn_1d", "Cnn1d"),
    "cnn_2d": ("cnn_2d", "Cnn2d"),
    "rnn": ("rnn", "Rnn"),
    "lstm": ("lstm", "Lstm"),
    "transformer": ("transformer", "Transformer"),
    "aligned": ("aligned", "Aligned"),
    "vision": ("vision", "VisionEncoder"),
}


def build_encoder(arguments: Mapping[str, Any]) -> Encoder:
    """The encoder that `arguments` (its `name` among them) describe, with random weights.

    Raises:
        ValueError: no encoder has that name.
    """
    told = dict(arguments)
    name = str(told.pop("name"))
    if name not in _CLASSES:
        raise ValueError(f"no encoder is called {name!r}: known are {', '.join(_CLASSES)}")
    module, called = _CLASSES[name]
    encoder: Encoder = getattr(import_module(f".{module}", __package__), called)(**told)
    return encoder
