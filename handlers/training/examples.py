"""Training rows on a device: what the frozen blocks make of them, and how wrong a network's answers are."""

import torch
from torch import nn

from handlers.networks.network import Network

from .rows import Rows
from .settings import Settings

#: Bytes up to which what comes out of frozen blocks is kept for all rows.
_ROOM = 2**29


class Examples:
    """The rows as the deep path of `network` sees them; the network's frozen blocks are frozen here.

    `fit`, `validation`: positions; `guess`: the loss of knowing nothing.
    """

    def __init__(self, network: Network, rows: Rows, settings: Settings, device: torch.device) -> None:
        self._network, self._settings, self._device = network, settings, device
        self._n_outputs, self._is_regression = rows.n_outputs, rows.n_classes is None
        self._y = self._targets(rows)
        self.fit = torch.as_tensor(rows.fit, device=device)
        self.validation = torch.as_tensor(rows.validation, device=device)
        weights = rows.class_weights() if settings.weighted else None
        self._weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float32, device=device)
        for block in network.encoder.blocks[: settings.frozen]:
            block.requires_grad_(False)
        network.eval()
        self._X = self._scaled(rows)
        self._kept = self._past_the_frozen()
        nothing = torch.zeros((len(self.fit), self._n_outputs), device=device)
        self.guess = float(self._loss(nothing, self._y[self.fit], smoothing=0.0))

    def said(self, places: torch.Tensor) -> torch.Tensor:
        """(m, k): what the deep path says about some of the rows, in evaluation mode."""
        self._network.eval()
        if not len(places):
            return torch.zeros((0, self._n_outputs), device=self._device)
        with torch.inference_mode():
            parts = places.split(self._network.encoder.rows_at_once)
            return torch.cat([self._network.deep(self._hidden(part), self._settings.frozen) for part in parts])

    def loss(self, said: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """How wrong the answers (m, k) about some of the rows are."""
        return self._loss(said, self._y[places], smoothing=0.0)

    def blended_loss(self, chosen: torch.Tensor) -> torch.Tensor:
        """The loss on pairs of rows, blended: Zhang et al. (2018), «mixup: Beyond Empirical Risk Minimization».

        Behind frozen blocks it is what these make of the rows that is blended: Verma et al. (2019), «Manifold Mixup».
        """
        smoothing, frozen = self._settings.label_smoothing, self._settings.frozen
        rows, y = self._hidden(chosen), self._y[chosen]
        if self._settings.mixup <= 0:
            return self._loss(self._network.deep(rows, frozen), y, smoothing)
        share = float(torch.distributions.Beta(self._settings.mixup, self._settings.mixup).sample())
        other = torch.randperm(len(chosen)).to(self._device)
        said = self._network.deep(share * rows + (1 - share) * rows[other], frozen)
        return share * self._loss(said, y, smoothing) + (1 - share) * self._loss(said, y[other], smoothing)

    def _targets(self, rows: Rows) -> torch.Tensor:
        if not self._is_regression:
            return torch.as_tensor(rows.y, dtype=torch.int64, device=self._device)
        y = torch.as_tensor(rows.y, dtype=torch.float64, device=self._device)
        return ((y - self._network.y_mean) / self._network.y_scale).float()

    def _scaled(self, rows: Rows) -> torch.Tensor:
        parts = torch.as_tensor(rows.X).split(self._network.encoder.rows_at_once)
        with torch.no_grad():
            return torch.cat([self._network.scaled(part.to(self._device)) for part in parts])

    def _hidden(self, chosen: torch.Tensor) -> torch.Tensor:
        """What comes out of the blocks that stay as they are, for some rows."""
        if self._kept is not None:
            return self._kept[chosen]
        encoder = self._network.encoder
        with torch.no_grad():
            parts = chosen.split(encoder.rows_at_once)
            return torch.cat([encoder.until(self._X[part], self._settings.frozen) for part in parts])

    def _past_the_frozen(self) -> torch.Tensor | None:
        """The same for all rows, once; None where there is no room for it."""
        if not self._settings.frozen:
            return self._X
        self._kept = None
        parts: list[torch.Tensor] = []
        for places in torch.arange(len(self._X), device=self._device).split(self._network.encoder.rows_at_once):
            parts.append(self._hidden(places))
            if parts[0].nbytes / len(parts[0]) * len(self._X) > _ROOM:
                return None
        return torch.cat(parts)

    def _loss(self, said: torch.Tensor, y: torch.Tensor, smoothing: float) -> torch.Tensor:
        if self._is_regression:
            return nn.functional.mse_loss(said[:, 0].float(), y)
        return nn.functional.cross_entropy(said.float(), y, weight=self._weights, label_smoothing=smoothing)
