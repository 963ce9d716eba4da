"""Features in a plane: each has its cell in a square, so that a convolution sees related features side by side."""

import math
from collections.abc import Sequence

import torch
from torch import nn


def side_of(p: int) -> int:
    """The side of the smallest square with at least `p` cells."""
    return math.isqrt(max(p, 1) - 1) + 1


class Plane(nn.Module):
    """(n, p) → (n, 1, side, side); cells without a feature hold 0, the mean of a scaled feature.

    `layout`: the cells of the p features, all different, numbered row by row (`handlers.training.layout` fits them).

    Raises:
        ValueError: two features share a cell, or one lies outside the square.
    """

    cells: torch.Tensor

    def __init__(self, layout: Sequence[int]) -> None:
        super().__init__()
        cells = [int(cell) for cell in layout]
        self.side = side_of(len(cells))
        if not cells or len(set(cells)) != len(cells) or min(cells) < 0 or max(cells) >= self.side**2:
            raise ValueError(f"{len(cells)} features need different cells of a square of {self.side} x {self.side}")
        self.register_buffer("cells", torch.tensor(cells, dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every feature into its cell."""
        flat = x.new_zeros((len(x), self.side**2))
        flat[:, self.cells] = x
        return flat.view(len(x), 1, self.side, self.side)
