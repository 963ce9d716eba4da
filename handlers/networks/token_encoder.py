"""What the architectures that read tokens share: an input stage, layers, a pooling."""

from torch import nn

from .encoder import Encoder
from .tokens import Pooled, input_stage


class TokenEncoder(Encoder):
    """Layers of one kind over the tokens of a table or a series.

    `shape`: [channels, length] of a true series. `n_tokens`, `rank`: of a table's projection, see `Projection`.
    `channels`: width of a token; the embedding's is twice that. `depth`: how many layers.
    """

    def __init__(
        self,
        n_features: int,
        shape: list[int] | None = None,
        n_tokens: int = 16,
        channels: int = 32,
        rank: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            n_features=n_features,
            shape=shape,
            n_tokens=n_tokens,
            channels=channels,
            rank=rank,
            depth=depth,
            dropout=dropout,
        )
        self.width = 2 * channels
        stage = self.made_input(input_stage(n_features, shape, n_tokens, channels, rank, dropout), channels)
        layers = (self.made_layer(channels, dropout) for _ in range(depth))
        self.blocks = nn.ModuleList([stage, *layers, Pooled(channels)])

    def made_input(self, stage: nn.Module, channels: int) -> nn.Module:
        """The first block around an input stage that gives tokens of `channels` numbers."""
        return stage

    def made_layer(self, channels: int, dropout: float) -> nn.Module:
        """One layer, (n, n_tokens, channels) → the same."""
        raise NotImplementedError
