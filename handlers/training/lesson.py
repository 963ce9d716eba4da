"""One fit as Lightning runs it: an epoch of batches, a look at the validation rows, the best weights kept."""

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import nn

from handlers.networks.network import Network

from .checkpoints import Checkpoints
from .divergence import refuse_if_diverged
from .examples import Examples
from .news import News
from .rows import Rows
from .schedule import share_of_peak
from .settings import Settings

#: What a checkpoint holds beside the network and its optimizer.
_KEPT = ("history", "best", "best_epoch", "best_loss", "ended", "accelerator")


class Lesson(lightning.LightningModule):
    """Fits the deep path of `network` by AdamW (Loshchilov and Hutter 2019).

    For Lightning one batch is a whole epoch, which is cut into batches here: its bookkeeping for each batch would cost
    more than a small network's own work. Random numbers of an epoch follow from (seed, epoch), so that a fit which
    goes on from a checkpoint comes to the same numbers.
    """

    examples: Examples

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
        self.accelerator = "cpu"

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
        self.accelerator = self.device.type
        self.examples = Examples(self.network, self.rows, self.settings, self.device)

    def on_train_epoch_start(self) -> None:
        self.network.train()
        for block in self.network.encoder.blocks[: self.settings.frozen]:
            block.eval()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        # Here and not when the epoch starts: between the two the loader draws a number, except after a checkpoint.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)
        fit = self.examples.fit
        batches = _batches(fit[torch.randperm(len(fit)).to(self.device)], self.settings.batch_size)
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        total, seen = torch.zeros((), device=self.device), 0
        for number, chosen in enumerate(batches):
            self._set_rates(optimizer, number, len(batches))
            loss = self.examples.blended_loss(chosen)
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
        self.checkpoints.after_epoch(self.trainer, self.kept() if self.ended else None)

    def kept(self) -> dict[str, Any]:
        """What a checkpoint holds beside the network and its optimizer; once the fit has ended, all there is to it."""
        return {name: getattr(self, name) for name in _KEPT}

    def take(self, kept: Mapping[str, Any]) -> None:
        """Becomes the fit that `kept` was told by."""
        for name in _KEPT:
            setattr(self, name, kept[name])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lesson"] = self.kept()
        checkpoint["of"] = self.checkpoints.of

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.take(checkpoint["lesson"])

    def best_said(self) -> torch.Tensor:
        """(m, k): what the deep path says about the validation rows with its best weights; the network keeps these."""
        self.network.to("cpu").load_state_dict(self.best)
        if not hasattr(self, "examples") or self.accelerator != "cpu":
            # Lightning has put the network on the CPU; rows that were elsewhere, or not read yet, are read here.
            self.examples = Examples(self.network, self.rows, self.settings, torch.device("cpu"))
        return self.examples.said(self.examples.validation)

    def _validated(self) -> dict[str, float]:
        """Loss and score of the deep path on validation rows, as far as there are any and it has one."""
        examples = self.examples
        if not len(examples.validation):
            return {}
        said = examples.said(examples.validation)
        told = {"validation_loss": float(examples.loss(said, examples.validation))}
        if not math.isfinite(told["validation_loss"]):
            self._refuse_if_diverged(told["validation_loss"])
        score = self.news.score(self.network.in_units(said).numpy(force=True), self.rows)
        return told if score is None else {**told, "validation_score": score}

    def _refuse_if_diverged(self, loss: float) -> None:
        refuse_if_diverged(loss, self.examples.guess, self.current_epoch, self.settings.learning_rate)

    def _set_rates(self, optimizer: torch.optim.Optimizer, number: int, n_batches: int) -> None:
        progress = (self.current_epoch + number / n_batches) / self.settings.epochs
        share = share_of_peak(progress, self.settings.warm_up, self.settings.epochs * n_batches)
        for group in optimizer.param_groups:
            group["lr"] = share * group["peak"]
        self._rate = share * self.settings.learning_rate


class _OneEpoch(torch.utils.data.Dataset[int]):
    """What Lightning loops over: one item, an epoch."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, place: int) -> int:
        return place


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    """The rows of an epoch in batches. One row left over goes with the batch before."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1 < size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
