"""Features in a plane: each has its cell in a square, so that a convolution sees related features side by side."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def side_of(p: int) -> int:
    """The side of the smallest square with at least `p` cells."""
    return math.isqrt(max(p, 1) - 1) + 1


class Plane(nn.Module):
    """(n, p) to (n, 1, side, side); cells without a feature hold 0, the mean of a scaled feature.

    `cells` (p,): the features' cells, all different, numbered row by row; None: in the features' own order. They are
    a buffer: a plane made again with `p` alone gets its cells with the saved weights.
    """

    cells: Tensor

    def __init__(self, p: int, cells: Sequence[int] | None = None) -> None:
        super().__init__()
        self.side = side_of(p)
        chosen = torch.as_tensor(range(p) if cells is None else [int(cell) for cell in cells], dtype=torch.int64)
        if (
            len(chosen) != p
            or len(chosen.unique()) != p
            or (p and not 0 <= chosen.min() <= chosen.max() < self.side**2)
        ):
            raise ValueError(f"{p} features need as many different cells of a {self.side} x {self.side} square")
        self.register_buffer("cells", chosen)

    def forward(self, x: Tensor) -> Tensor:
        """Every feature into its cell."""
        flat = x.new_zeros((len(x), self.side**2))
        flat[:, self.cells] = x
        return flat.view(len(x), 1, self.side, self.side)
