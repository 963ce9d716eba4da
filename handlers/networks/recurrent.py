"""What the two recurrent architectures share: layers that read the tokens in both directions."""

import torch
from torch import nn

from .encoder import Encoder
from .tokens import Pooled, input_stage


class Recurrent(Encoder):
    """Layers of `cell` over tokens, each read both ways (Schuster and Paliwal 1997), beside a straight path."""

    cell: type[nn.RNN] | type[nn.LSTM]

    def __init__(
        self,
        n_features: int,
        shape: list[int] | None = None,
        n_tokens: int = 16,
        channels: int = 32,
        rank: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            n_features=n_features,
            shape=shape,
            n_tokens=n_tokens,
            channels=channels,
            rank=rank,
            depth=depth,
            dropout=dropout,
        )
        self.width = 2 * channels
        stage = input_stage(n_features, shape, n_tokens, channels, rank, dropout)
        layers = (BothWays(self.cell, channels, dropout) for _ in range(depth))
        self.blocks = nn.ModuleList([stage, *layers, Pooled(channels)])


class BothWays(nn.Module):
    """(n, n_tokens, channels) → the same."""

    def __init__(self, cell: type[nn.RNN] | type[nn.LSTM], channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.read = cell(channels, channels // 2, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        read, _ = self.read(self.norm(tokens))
        kept: torch.Tensor = self.drop(read)
        return tokens + kept
