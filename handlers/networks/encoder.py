"""What every architecture is: blocks, one after another, from a row's features to an embedding."""

from typing import Any

import torch
from torch import nn


class Encoder(nn.Module):
    """Rows as (n, p) scaled features become (n, width) embeddings.

    `blocks` are applied in turn; the first is the input stage, the last ends in the embedding. Who fine-tunes an
    encoder freezes some of them. `arguments` is what the class was called with, as JSON data: enough to build it again.
    """

    #: By which it is known in requests and files.
    name: str
    width: int
    blocks: nn.ModuleList

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        """(n, p) → (n, width). With `start`, x is what came out of the first `start` blocks."""
        for block in self.blocks[start:]:
            x = block(x)
        return x
