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
    #: How many rows go through at a time where nothing is learned: memory must not grow with a table's length.
    rows_at_once = 1024

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def until(self, x: torch.Tensor, stop: int) -> torch.Tensor:
        """(n, p) → what comes out of the first `stop` blocks."""
        for block in self.blocks[:stop]:
            x = block(x)
        return x

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        """(n, p) → (n, width). With `start`, x is what came out of the first `start` blocks."""
        for block in self.blocks[start:]:
            x = block(x)
        return x
