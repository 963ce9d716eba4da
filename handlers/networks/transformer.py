"""Attention over tokens."""

import torch
from torch import nn

from .encoder import Encoder
from .tokens import Patches, Pooled, input_stage


class Transformer(Encoder):
    """Vaswani et al. (2017), «Attention Is All You Need», with norms before each part (Xiong et al. 2020), which trains
    without a warm-up. Each token learns its place."""

    name = "transformer"

    def __init__(
        self,
        n_features: int,
        shape: list[int] | None = None,
        n_tokens: int = 16,
        channels: int = 32,
        rank: int = 128,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            n_features=n_features,
            shape=shape,
            n_tokens=n_tokens,
            channels=channels,
            rank=rank,
            depth=depth,
            heads=heads,
            dropout=dropout,
        )
        self.width = 2 * channels
        stage = input_stage(n_features, shape, n_tokens, channels, rank, dropout)
        placed = Placed(stage, stage.n_tokens if isinstance(stage, Patches) else n_tokens, channels)
        layers = (
            nn.TransformerEncoderLayer(
                channels, heads, 2 * channels, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.blocks = nn.ModuleList([placed, *layers, Pooled(channels)])


class Placed(nn.Module):
    """An input stage whose tokens know their place."""

    def __init__(self, stage: nn.Module, n_tokens: int, channels: int) -> None:
        super().__init__()
        self.stage = stage
        self.places = nn.Parameter(0.02 * torch.randn(n_tokens, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.stage(x)
        return tokens + self.places
