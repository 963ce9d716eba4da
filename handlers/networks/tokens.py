"""Input stages: a row of features becomes a short sequence of tokens, which every sequence architecture can read.

A table's columns have no order, and twenty thousand genes are no sequence of that length. So a table is projected: a
learned map of all features onto a few tokens, in an order that training finds by itself. A true series is cut into
overlapping patches.
"""

import math

import torch
from torch import nn

#: Patches of a series: at most so many.
MOST_PATCHES = 64
#: Of a table's features so many are left out, anew for each row and step of a training.
_FEATURES_DROPPED = 0.3


class Projection(nn.Module):
    """(n, p) → (n, n_tokens, width), through a bottleneck of `rank` numbers.

    The learned order of tokens is the «soft ordering» of the 1D-CNN in the Mechanisms of Action competition (2nd place,
    Kaggle 2020). The bottleneck keeps weights few where features are many: p·rank + rank·n_tokens·width. Features are
    dropped at random in training, so that no single one carries a decision (Srivastava et al. 2014).
    """

    def __init__(self, n_features: int, n_tokens: int, width: int, rank: int) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self._shape = (n_tokens, width)
        self.drop = nn.Dropout(_FEATURES_DROPPED)
        self.squeeze = nn.Linear(n_features, rank)
        self.norm = nn.LayerNorm(rank)
        self.spread = nn.Linear(rank, n_tokens * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        few = nn.functional.gelu(self.norm(self.squeeze(self.drop(x))))
        spread: torch.Tensor = self.spread(few)
        return spread.reshape(len(x), *self._shape)


class Patches(nn.Module):
    """(n, channels · length) → (n, n_tokens, width): overlapping pieces of a series, each seen by the same weights.

    Patches as tokens: Nie et al. (2023), «A Time Series is Worth 64 Words».
    """

    def __init__(self, channels: int, length: int, width: int, dropout: float) -> None:
        super().__init__()
        self._shape = (channels, length)
        stride = max(1, math.ceil(length / MOST_PATCHES))
        kernel = 2 * stride + 1
        self.cut = nn.Conv1d(channels, width, kernel, stride, padding=kernel // 2)
        self.drop = nn.Dropout(dropout)
        self.n_tokens = (length - 1) // stride + 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pieces: torch.Tensor = self.drop(nn.functional.gelu(self.cut(x.reshape(len(x), *self._shape))))
        return pieces.transpose(1, 2)


def input_stage(
    n_features: int, shape: list[int] | None, n_tokens: int, width: int, rank: int, dropout: float
) -> nn.Module:
    """The stage that fits: `Patches` for a series (`shape` is [channels, length]), else `Projection`."""
    if shape is None:
        return Projection(n_features, n_tokens, width, rank)
    channels, length = shape
    return Patches(channels, length, width, dropout)


class Pooled(nn.Module):
    """(n, n_tokens, width) → (n, 2 · width): the mean over tokens and the largest of each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.norm(torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1))
        return pooled
