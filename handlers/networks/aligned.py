"""An encoder of one cohort's features that takes another cohort's columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .catalogue import build_encoder
from .encoder import Encoder


class Aligned(Encoder):
    """Puts a cohort's features in the places in which an encoder, trained on another cohort, expects them.

    Rows come as (n, n_features), scaled; the inner encoder gets (n, p). Where it knows a feature that the cohort does
    not have, it gets 0: after scaling that is the mean. A column that the encoder does not know is not looked at.

    Buffer: `places` (p,), for each feature of the inner encoder its column, -1 for none. It is saved with the weights.

    Args:
        inner: the inner encoder's name and arguments, as `build_encoder` takes them.
        n_features: of the rows that come in.
    """

    name = "aligned"
    places: torch.Tensor

    def __init__(self, inner: Mapping[str, Any], n_features: int) -> None:
        super().__init__(inner=dict(inner), n_features=n_features)
        self.inner = build_encoder(inner)
        self.width = self.inner.width
        self.register_buffer("places", torch.full((inner["n_features"],), -1, dtype=torch.long))

    @classmethod
    def around(cls, encoder: Encoder, places: Sequence[int], n_features: int) -> "Aligned":
        """One around a trained encoder: its weights are taken along, the encoder itself is left as it is.

        Args:
            places: p numbers, for each feature of `encoder` its column in the rows to come, -1 for none.

        Raises:
            ValueError: a place is not among the columns, or there are more or fewer than the encoder has features.
        """
        if not all(-1 <= place < n_features for place in places):
            raise ValueError(f"places must lie between -1 and {n_features - 1}")
        aligned = cls({"name": encoder.name, **encoder.arguments}, n_features)
        if len(places) != len(aligned.places):
            raise ValueError(f"{len(places)} places for an encoder of {len(aligned.places)} features")
        aligned.inner.load_state_dict(encoder.state_dict())
        aligned.places.copy_(torch.tensor(list(places), dtype=torch.long))
        return aligned

    @property
    def rows_at_once(self) -> int:  # type: ignore[override] # the inner one's
        """As many as the inner encoder takes."""
        return self.inner.rows_at_once

    @property
    def blocks(self) -> nn.ModuleList:  # type: ignore[override] # the inner ones: they are not to be saved twice
        return self.inner.blocks

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        """(n, n_features) → (n, width). With `start`, x is what came out of the first `start` blocks."""
        embedding: torch.Tensor = self.inner(self._placed(x) if start == 0 else x, start)
        return embedding

    def until(self, x: torch.Tensor, stop: int) -> torch.Tensor:
        """(n, n_features) → what comes out of the first `stop` blocks; with none, the rows as they came."""
        return self.inner.until(self._placed(x), stop) if stop else x

    def _placed(self, x: torch.Tensor) -> torch.Tensor:
        # A column of zeros in front, so that place -1 is column 0.
        return nn.functional.pad(x, (1, 0)).index_select(1, self.places + 1)
