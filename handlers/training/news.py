"""What a fit tells on its way: «Training epoch 45/100», with loss and score so far."""

import math
import time
from typing import Any

import numpy as np

from handlers.contract import Report
from handlers.metrics import Predictions, score

from .rows import Rows
from .settings import Settings

_EVERY_S = 1.0


class News:
    """Tells a fit's progress between `begins` and `ends` percent of the job; `what` stands before each word.

    `prefix`: before the names of metrics, where a job has several fits.
    """

    def __init__(
        self, report: Report, settings: Settings, begins: float, ends: float, what: str = "Training", prefix: str = ""
    ) -> None:
        self._report = report
        self._settings = settings
        self._begins, self._ends, self._what, self._prefix = begins, ends, what, prefix
        self._began: tuple[float, int] | None = None
        self._told_at = time.monotonic()
        self._last = ""

    def should_stop(self) -> bool:
        """Whether somebody asked to."""
        return self._report.should_stop()

    def is_due(self) -> bool:
        """Whether nothing has been told for a while: an epoch may be long."""
        return time.monotonic() - self._told_at >= _EVERY_S

    def within(self, epoch: int, share: float) -> None:
        """In the middle of an epoch, counted from 0."""
        self._tell(epoch, epoch + share, {})

    def after(self, word: dict[str, float]) -> None:
        """After an epoch: its entry in the history."""
        metric = self._settings.metric
        parts = [f"loss {word['train_loss']:.3g}"]
        if "validation_loss" in word:
            parts.append(f"validation loss {word['validation_loss']:.3g}")
        if "validation_score" in word and metric != "log_loss":
            parts.append(f"{metric} {word['validation_score']:.3g}")
        self._last = f": {', '.join(parts)}"
        names = {"validation_score": f"validation_{metric}"}
        metrics = {f"{self._prefix}{names.get(name, name)}": value for name, value in word.items() if name != "epoch"}
        epoch = int(word["epoch"])
        self._tell(epoch - 1, epoch, metrics)

    def score(self, said: np.ndarray[Any, Any], rows: Rows) -> float | None:
        """The deciding metric of what was said (m, k) about the validation rows; None where it has no value."""
        return (
            score(as_predictions(said, rows.y[rows.validation], rows)).get(self._settings.metric) if len(said) else None
        )

    def _tell(self, epoch: int, done: float, metrics: dict[str, float]) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = (now, epoch)
        epochs = self._settings.epochs
        began_at, first = self._began
        eta = (now - began_at) / (done - first) * (epochs - done) if done > first else None
        share = min(1.0, done / epochs)
        self._report(
            self._begins + share * (self._ends - self._begins),
            f"{self._what} epoch {epoch + 1}/{epochs}{self._last}",
            eta_s=eta if eta is not None and math.isfinite(eta) else None,
            metrics=metrics,
        )
        self._told_at = now


def as_predictions(said: np.ndarray[Any, Any], y: np.ndarray[Any, Any], rows: Rows) -> Predictions:
    """What a network said, logits (m, k) or values in the target's unit (m, 1), as predictions."""
    if rows.n_classes is None:
        return Predictions(y, said[:, 0])
    shifted = np.exp(said - said.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    return Predictions(y, probabilities.argmax(axis=1), probabilities)
