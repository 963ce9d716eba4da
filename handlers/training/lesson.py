"""One fit as Lightning runs it: an epoch of batches, a look at the validation rows, the best weights kept."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import nn

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.networks.network import Network

from .checkpoints import Checkpoints
from .news import News
from .rows import Rows
from .settings import Settings

#: What a checkpoint holds beside the network and its optimizer.
_KEPT = ("history", "best", "best_epoch", "best_loss", "ended")
#: A loss this many times that of a guess will not come back.
_BEYOND_HOPE = 100.0
#: Bytes up to which what comes out of frozen blocks is kept for all rows.
_ROOM = 2**29


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    """The rows of an epoch in batches. One row alone goes with the batch before: norms over a batch need two."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class _OneEpoch(torch.utils.data.Dataset[int]):
    """What Lightning loops over: one item, an epoch."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, place: int) -> int:
        return place


class Lesson(lightning.LightningModule):
    """Fits the deep path of `network` by AdamW (Loshchilov and Hutter 2019) with a warm-up and a cosine to zero.

    For Lightning one batch is a whole epoch, which is cut into batches here: its bookkeeping for each batch would cost
    more than a small network's own work. Random numbers of an epoch follow from (seed, epoch), so that a fit which
    goes on from a checkpoint comes to the same numbers.
    """

    def __init__(self, network: Network, rows: Rows, settings: Settings, news: News, checkpoints: Checkpoints) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.rows = rows
        self.settings = settings
        self.news = news
        self.checkpoints = checkpoints
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch = 0
        self.best_loss = math.inf
        self.stopped = False
        self.ended = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        asked, network = self.settings, self.network
        carried = [p for block in network.encoder.blocks[asked.frozen :] for p in block.parameters()]
        groups = [
            {"params": list(network.head.parameters()), "peak": asked.learning_rate},
            {"params": carried, "peak": asked.learning_rate * asked.slower},
        ]
        return torch.optim.AdamW(
            [g for g in groups if g["params"]], lr=0.0, weight_decay=asked.weight_decay, fused=True
        )

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(_OneEpoch(), batch_size=None)

    def on_fit_start(self) -> None:
        rows, device = self.rows, self.device
        y = torch.as_tensor(rows.y, dtype=torch.float32 if rows.n_classes is None else torch.int64, device=device)
        if rows.n_classes is None:
            y = (y - self.network.y_mean) / self.network.y_scale
        self._y = y
        self._fit = torch.as_tensor(rows.fit, device=device)
        self._validation = torch.as_tensor(rows.validation, device=device)
        self._weights = self._class_weights() if self.settings.weighted else None
        for block in self.network.encoder.blocks[: self.settings.frozen]:
            block.requires_grad_(False)
        self._X = torch.as_tensor(rows.X, device=device)
        self._kept = self._past_the_frozen()
        self._guess = float(self._loss(self._guessed(), y[self._fit]))

    def on_train_epoch_start(self) -> None:
        self.network.train()
        for block in self.network.encoder.blocks[: self.settings.frozen]:
            block.eval()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        # Here and not when the epoch starts: between the two the loader draws a number, except after a checkpoint.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)
        order = self._fit[torch.randperm(len(self._fit)).to(self.device)]
        batches = _batches(order, self.settings.batch_size)
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        total, seen = torch.zeros((), device=self.device), 0
        for number, chosen in enumerate(batches):
            progress = (self.current_epoch + number / len(batches)) / self.settings.epochs
            self._set_rates(optimizer, progress, self.settings.epochs * len(batches))
            loss = self._mixed_loss(chosen)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, self.settings.gradient_norm)
            optimizer.step()
            total += loss.detach() * len(chosen)
            seen += len(chosen)
            if self.news.is_due():
                self.news.within(self.current_epoch, (number + 1) / len(batches))
                if self.news.should_stop():
                    self.stopped = True
                    break
        self._train_loss = float(total) / seen

    def on_train_epoch_end(self) -> None:
        self._refuse_if_diverged(self._train_loss)
        word = {"epoch": self.current_epoch + 1, "train_loss": self._train_loss, **self._validated()}
        loss = word.get("validation_loss", self._train_loss)
        if loss < self.best_loss or not self.best:
            self.best_loss, self.best_epoch = loss, self.current_epoch
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        word["learning_rate"] = self._rate
        self.history.append(word)
        self.news.after(word)
        self.stopped = self.stopped or self.news.should_stop()
        if self.stopped or self.current_epoch - self.best_epoch >= self.settings.patience:
            self.trainer.should_stop = True
        ends = self.trainer.should_stop or self.current_epoch + 1 >= self.settings.epochs
        if ends:  # what the last steps have spoilt is not in a training loss
            self._refuse_if_diverged(self.best_loss)
        self.ended = ends and not self.stopped
        self.checkpoints.after_epoch(self.trainer, last=self.ended)

    def _validated(self) -> dict[str, float]:
        """Loss and score of the deep path on validation rows, as far as there are any and it has one."""
        if not len(self.rows.validation):
            return {}
        said = self.said(self.rows.validation)
        told = {"validation_loss": float(self._loss(said, self._y[self._validation]))}
        if not math.isfinite(told["validation_loss"]):
            self._refuse_if_diverged(told["validation_loss"])
        in_units = self.network.y_mean + self.network.y_scale * said
        score = self.news.score(in_units.double().numpy(force=True), self.rows)
        return told if score is None else {**told, "validation_score": score}

    def _refuse_if_diverged(self, loss: float) -> None:
        # Where fit rows hardly differ a guess has next to no loss: an untrained network has about 1.
        if loss <= _BEYOND_HOPE * max(1.0, self._guess):
            return
        raise JobRefused(
            ReasonCode.DIVERGED,
            f"the training diverged: in epoch {self.current_epoch + 1} the loss was {loss:.3g}, where "
            f"a guess has {self._guess:.3g}; send a smaller learning_rate than {self.settings.learning_rate:g}",
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lesson"] = {name: getattr(self, name) for name in _KEPT}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in _KEPT:
            setattr(self, name, checkpoint["lesson"][name])

    def has_ended(self, checkpoint: Path | None) -> bool:
        """Whether an attempt before came to the end of this fit, which then is as if it had been this one's."""
        if checkpoint is None:
            return False
        told = torch.load(checkpoint, weights_only=True, map_location="cpu")
        if told["lesson"]["ended"]:
            self.on_load_checkpoint(told)
            self.on_fit_start()
        return self.ended

    def said(self, places: Any) -> torch.Tensor:
        """(m, k): what the deep path says about some of the rows, in evaluation mode."""
        self.network.eval()
        chosen = torch.as_tensor(places, device=self.device)
        with torch.inference_mode():
            parts = [self._said(part) for part in chosen.split(self.network.encoder.rows_at_once)]
        return torch.cat(parts) if len(chosen) else torch.zeros((0, self.rows.n_outputs))

    def _mixed_loss(self, chosen: torch.Tensor) -> torch.Tensor:
        """The loss on pairs of rows, blended: Zhang et al. (2018), «mixup: Beyond Empirical Risk Minimization»."""
        rows = self._hidden(chosen)
        if self.settings.mixup <= 0:
            return self._loss(self.network.deep(rows, self.settings.frozen), self._y[chosen])
        share = float(torch.distributions.Beta(self.settings.mixup, self.settings.mixup).sample())
        other = chosen[torch.randperm(len(chosen)).to(self.device)]
        said = self.network.deep(share * rows + (1 - share) * self._hidden(other), self.settings.frozen)
        return share * self._loss(said, self._y[chosen]) + (1 - share) * self._loss(said, self._y[other])

    def _said(self, chosen: torch.Tensor) -> torch.Tensor:
        return self.network.deep(self._hidden(chosen), self.settings.frozen)

    def _hidden(self, chosen: torch.Tensor) -> torch.Tensor:
        """What comes out of the blocks that stay as they are, for some rows."""
        if self._kept is not None:
            return self._kept[chosen]
        encoder = self.network.encoder
        with torch.no_grad():
            parts = chosen.split(encoder.rows_at_once)
            return torch.cat([encoder.until(self.network.scaled(self._X[p]), self.settings.frozen) for p in parts])

    def _past_the_frozen(self) -> torch.Tensor | None:
        """The same for all rows, once; None where there is no room for it."""
        self.network.eval()
        self._kept = None
        parts: list[torch.Tensor] = []
        for places in torch.arange(len(self._X), device=self.device).split(self.network.encoder.rows_at_once):
            parts.append(self._hidden(places))
            if self.settings.frozen and parts[0].nbytes / len(parts[0]) * len(self._X) > _ROOM:
                return None
        return torch.cat(parts)

    def _loss(self, said: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.rows.n_classes is None:
            return nn.functional.mse_loss(said[:, 0].float(), y)
        smoothing = self.settings.label_smoothing if self.network.training else 0.0
        return nn.functional.cross_entropy(said.float(), y, weight=self._weights, label_smoothing=smoothing)

    def _guessed(self) -> torch.Tensor:
        return torch.zeros((len(self._fit), self.rows.n_outputs), device=self.device)

    def _class_weights(self) -> torch.Tensor:
        counts = torch.bincount(self._y[self._fit], minlength=self.rows.n_outputs).float()
        return len(self._fit) / (self.rows.n_outputs * counts.clamp(min=1))

    def _set_rates(self, optimizer: torch.optim.Optimizer, progress: float, steps: int) -> None:
        """The part of its peak that each rate has: rising, then a cosine to zero. `progress` from 0 to 1."""
        # A rise that is shorter than a step would be a first step from which nothing is learned.
        warm = self.settings.warm_up if self.settings.warm_up * steps >= 1 else 0.0
        share = progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
        for group in optimizer.param_groups:
            group["lr"] = share * group["peak"]
        self._rate = share * self.settings.learning_rate
