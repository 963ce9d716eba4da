"""A convolutional network over tokens."""

import torch
from torch import nn

from .token_encoder import TokenEncoder


class Cnn1d(TokenEncoder):
    """Residual convolutions over tokens: of a table as the 1D-CNN of `Projection`, of a series as ResNet of Wang, Yan
    and Oates (2017), «Time Series Classification from Scratch with Deep Neural Networks»."""

    name = "cnn_1d"

    def made_layer(self, channels: int, dropout: float) -> nn.Module:
        return Residual(channels, dropout)


class Residual(nn.Module):
    """(n, n_tokens, channels) → the same: two convolutions of width 5 beside a straight path."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.first = nn.Conv1d(channels, channels, 5, padding=2)
        self.second = nn.Conv1d(channels, channels, 5, padding=2)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        inner: torch.Tensor = self.first(nn.functional.gelu(self.first_norm(tokens)).transpose(1, 2)).transpose(1, 2)
        inner = self.second(self.drop(nn.functional.gelu(self.second_norm(inner))).transpose(1, 2)).transpose(1, 2)
        return tokens + inner
