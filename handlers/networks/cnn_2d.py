"""A convolutional network over a plane: of an image, or of features laid out in one."""

from collections.abc import Sequence

import torch
from torch import nn

from .encoder import Encoder
from .plane import Plane

#: What is left of a plane before it becomes an embedding: places still matter, genes do not wander.
_LEFT = 4


class Cnn2d(Encoder):
    """Residual convolutions (He et al. 2016) over an image, or over a plane in which features that go together are
    neighbours: DeepInsight (Sharma et al. 2019), fitted on training rows.

    `layout`: the cell of each feature, see `Plane`; it is saved with the weights.
    """

    name = "cnn_2d"

    def __init__(
        self,
        n_features: int,
        shape: list[int] | None = None,
        layout: Sequence[int] | None = None,
        channels: int = 16,
        depth: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            n_features=n_features,
            shape=shape,
            channels=channels,
            depth=depth,
            dropout=dropout,
        )
        image, n_channels, side = _image(n_features, shape, layout)
        layers: list[nn.Module] = []
        for number in range(depth):
            wider = channels * 2**number
            layers.append(Shrinking(n_channels, wider, stride=2 if side > _LEFT else 1, dropout=dropout))
            n_channels, side = wider, -(-side // 2) if side > _LEFT else side
        self.width = 4 * channels
        drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([nn.Sequential(drop, image), *layers, Flattened(n_channels, self.width)])


def _image(n_features: int, shape: list[int] | None, layout: Sequence[int] | None) -> tuple[nn.Module, int, int]:
    if shape is not None:
        return nn.Unflatten(1, tuple(shape)), shape[0], max(shape[1:])
    plane = Plane(range(n_features) if layout is None else layout)
    return plane, 1, plane.side


class Shrinking(nn.Module):
    """(n, inner, h, w) → (n, outer, h / stride, w / stride)."""

    def __init__(self, inner: int, outer: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, padding=1)
        self.second = nn.Conv2d(outer, outer, 3, padding=1)
        self.straight = nn.Conv2d(inner, outer, 1, stride)
        self.first_norm, self.second_norm = nn.GroupNorm(4, outer), nn.GroupNorm(4, outer)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.drop(nn.functional.gelu(self.first_norm(self.first(x))))
        return nn.functional.gelu(self.straight(x) + self.second_norm(self.second(inner)))


class Flattened(nn.Module):
    """(n, channels, h, w) → (n, width), each place with weights of its own."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(_LEFT)
        self.join = nn.Linear(channels * _LEFT**2, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedding: torch.Tensor = self.norm(nn.functional.gelu(self.join(self.pool(x).flatten(1))))
        return embedding
