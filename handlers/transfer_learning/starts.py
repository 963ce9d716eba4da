"""Where a fine-tuning starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from handlers.networks.catalogue import build_encoder
from handlers.networks.encoder import Encoder
from handlers.networks.network import Network
from handlers.training.linear import Linear

_DROPOUT = 0.2


@dataclass(frozen=True, slots=True)
class Start:
    """An encoder that comes from elsewhere, and where they fit its head and its linear path, for the new columns.

    `mix`: the deep path's share in the base model's own answer. `told`: what a reader should know of it. `is_random`:
    nothing was carried over, as asked for.
    """

    encoder: Encoder
    head: Mapping[str, torch.Tensor] | None
    architecture: str
    told: list[str] = field(default_factory=list)
    is_random: bool = False
    linear: Linear | None = None
    mix: float = 1.0

    def as_it_stands(self, like: Network) -> Network | None:
        """The base model's whole answer on the new columns, scaled as `like` scales; None where it has none."""
        if self.head is None or self.linear is None:
            return None
        network = self.network(like.n_features, like.n_outputs, 0)
        for name in ("mean", "scale", "y_mean", "y_scale"):
            getattr(network, name).copy_(getattr(like, name))
        network.weight.copy_(torch.as_tensor(self.linear.weight))
        network.bias.copy_(torch.as_tensor(self.linear.bias))
        network.mix.fill_(self.mix)
        return network.eval()

    def network(self, n_features: int, n_outputs: int, seed: int) -> Network:
        """A network that begins with a copy of what was carried over; what is new follows from the seed."""
        network = self._like(n_features, n_outputs, seed)
        network.encoder.load_state_dict(self.encoder.state_dict())
        if self.head is not None:
            network.head.load_state_dict(dict(self.head))
        return network

    def from_scratch(self, n_features: int, n_outputs: int, seed: int) -> Network:
        """The same network with nothing carried over but where features lie."""
        network = self._like(n_features, n_outputs, seed)
        network.encoder.load_state_dict(self._places(), strict=False)
        return network

    def _like(self, n_features: int, n_outputs: int, seed: int) -> Network:
        torch.manual_seed(seed)
        arguments: dict[str, Any] = {"name": self.encoder.name, **self.encoder.arguments}
        return Network(build_encoder(arguments), n_features, n_outputs, _DROPOUT)

    def _places(self) -> dict[str, torch.Tensor]:
        """Buffers that say where which feature goes: no weights, as a transformer's own places are."""
        return {
            name: value
            for name, value in self.encoder.named_buffers()
            if name.rpartition(".")[2] in ("places", "cells", "gain", "offset")
        }
