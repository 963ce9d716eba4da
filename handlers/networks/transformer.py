"""Attention over tokens."""

import torch
from torch import nn

from .token_encoder import TokenEncoder

_HEADS = 4


class Transformer(TokenEncoder):
    """Vaswani et al. (2017), «Attention Is All You Need», with norms before each part (Xiong et al. 2020), which trains
    without a warm-up. Each token learns its place."""

    name = "transformer"

    def made_input(self, stage: nn.Module, channels: int) -> nn.Module:
        n_tokens = stage.n_tokens
        assert isinstance(n_tokens, int)
        return Placed(stage, n_tokens, channels)

    def made_layer(self, channels: int, dropout: float) -> nn.Module:
        return nn.TransformerEncoderLayer(
            channels, _HEADS, 2 * channels, dropout, "gelu", batch_first=True, norm_first=True
        )


class Placed(nn.Module):
    """An input stage whose tokens know their place."""

    def __init__(self, stage: nn.Module, n_tokens: int, channels: int) -> None:
        super().__init__()
        self.stage = stage
        self.places = nn.Parameter(0.02 * torch.randn(n_tokens, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.stage(x)
        return tokens + self.places
