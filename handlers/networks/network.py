"""A whole network: scales a row, asks an encoder and a linear path, and weighs what they say."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .catalogue import build_encoder
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
            ("mean", torch.zeros(n_features, dtype=torch.float64)),
            ("scale", torch.ones(n_features, dtype=torch.float64)),
            ("weight", torch.zeros(n_outputs, n_features)),
            ("bias", torch.zeros(n_outputs)),
            ("mix", torch.ones(())),
            ("y_mean", torch.zeros((), dtype=torch.float64)),
            ("y_scale", torch.ones((), dtype=torch.float64)),
        ):
            self.register_buffer(name, value)

    def scaled(self, x: torch.Tensor) -> torch.Tensor:
        """(n, p) as the table has it, float64 → mean 0, deviation 1, float32: near a large offset the digits count."""
        return ((x.double() - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST).float()

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
        """(n, p) as the table has it → (n, k) logits, or (n, 1) values in the target's unit; float64."""
        scaled = self.scaled(x)
        return self.in_units(self.mixed(self.linear(scaled), self.deep(scaled)))

    def in_units(self, said: torch.Tensor) -> torch.Tensor:
        """Deviations of a regression's target in its unit; logits as they are."""
        return self.y_mean + self.y_scale * said.double()

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
