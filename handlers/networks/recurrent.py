"""What the two recurrent architectures share: layers that read the tokens in both directions."""

import torch
from torch import nn

from .token_encoder import TokenEncoder


class Recurrent(TokenEncoder):
    """Layers of `cell` over tokens, each read both ways (Schuster and Paliwal 1997), beside a straight path."""

    cell: type[nn.RNN] | type[nn.LSTM]

    def made_layer(self, channels: int, dropout: float) -> nn.Module:
        return BothWays(self.cell, channels, dropout)


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
