"""A whole network: scales a row, asks an encoder and a linear path, and weighs what they say."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .encoder import Encoder

VERSION = 1
#: Scaled values beyond are cut: a gene that hardly varied in training may be anything in a new row.
_FARTHEST = 10.0


class Network(nn.Module):
    """Two paths to an answer, each trained for it alone: an encoder with its head, and a linear model.

    On small wide tables a linear model is hard to beat, on images and series it is hopeless. So both answer, as in the
    wide and deep model of Cheng et al. (2016), «Wide & Deep Learning for Recommender Systems», and `mix` weighs them:
    (1 - mix) · linear + mix · deep. It is chosen on validation rows. The linear path is solved, not descended to, and
    no gradient goes through it; the encoder learns as if it were alone, so that its embedding is of use elsewhere.

    Buffers: `mean`, `scale` (p,) of the features; `weight` (k, p), `bias` (k,) of the linear path; `mix` ();
    `y_mean`, `y_scale` () of the target of a regression.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    mix: torch.Tensor
    y_mean: torch.Tensor
    y_scale: torch.Tensor

    def __init__(self, encoder: Encoder, n_features: int, n_outputs: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.n_features, self.n_outputs, self._dropout = n_features, n_outputs, dropout
        self.encoder = encoder
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(encoder.width, n_outputs))
        for name, value in (
            ("mean", torch.zeros(n_features)),
            ("scale", torch.ones(n_features)),
            ("weight", torch.zeros(n_outputs, n_features)),
            ("bias", torch.zeros(n_outputs)),
            ("mix", torch.ones(())),
            ("y_mean", torch.zeros(())),
            ("y_scale", torch.ones(())),
        ):
            self.register_buffer(name, value)

    def scaled(self, x: torch.Tensor) -> torch.Tensor:
        """(n, p) as the table has it → mean 0, deviation 1."""
        return ((x - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST)

    def deep(self, scaled: torch.Tensor, start: int = 0) -> torch.Tensor:
        """(n, p) scaled → (n, k): what the encoder and its head say; of a regression in deviations of the target.

        With `start`, `scaled` is what came out of the encoder's first `start` blocks.
        """
        said: torch.Tensor = self.head(self.encoder(scaled, start))
        return said

    def linear(self, scaled: torch.Tensor) -> torch.Tensor:
        """(n, p) scaled → (n, k): what the linear path says."""
        return nn.functional.linear(scaled, self.weight, self.bias)

    def mixed(self, linear: torch.Tensor, deep: torch.Tensor) -> torch.Tensor:
        """The two answers, weighed."""
        return (1 - self.mix) * linear + self.mix * deep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, p) as the table has it → (n, k) logits, or (n, 1) values in the target's unit."""
        scaled = self.scaled(x)
        return self.y_mean + self.y_scale * self.mixed(self.linear(scaled), self.deep(scaled))

    def arguments(self) -> dict[str, Any]:
        """What `build` needs to make it again, as JSON data."""
        return {
            "version": VERSION,
            "n_features": self.n_features,
            "n_outputs": self.n_outputs,
            "dropout": self._dropout,
            "encoder": {"name": self.encoder.name, **self.encoder.arguments},
        }


def build(arguments: Mapping[str, Any]) -> Network:
    """The network that `arguments` describe, with random weights.

    Raises:
        ValueError: they are of another version, or name no encoder that is known.
    """
    if arguments.get("version") != VERSION:
        raise ValueError(f"the network is of version {arguments.get('version')!r}, this code reads {VERSION}")
    encoder = build_encoder(arguments["encoder"])
    return Network(encoder, arguments["n_features"], arguments["n_outputs"], arguments["dropout"])


def build_encoder(arguments: Mapping[str, Any]) -> Encoder:
    """The encoder that `arguments` (its `name` among them) describe, with random weights.

    Raises:
        ValueError: no encoder has that name.
    """
    told = dict(arguments)
    encoder: Encoder = encoder_class(str(told.pop("name")))(**told)
    return encoder


def encoder_class(name: str) -> Any:
    """The class that is known by `name`.

    Raises:
        ValueError: none is.
    """
    if name == "vision":  # brings a library of its own
        from .vision import VisionEncoder

        return VisionEncoder
    from .aligned import Aligned
    from .cnn_1d import Cnn1d
    from .cnn_2d import Cnn2d
    from .lstm import Lstm
    from .rnn import Rnn
    from .transformer import Transformer

    known: dict[str, type[Encoder]] = {found.name: found for found in (Cnn1d, Cnn2d, Rnn, Lstm, Transformer, Aligned)}
    if name not in known:
        raise ValueError(f"no encoder is called {name!r}: known are {', '.join(known)}")
    return known[name]
