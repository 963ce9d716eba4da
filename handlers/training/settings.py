"""Everything that decides a fit, the data and the network apart."""

from dataclasses import asdict, dataclass
from typing import Any

#: Share of the epochs without a better validation loss after which a fit ends, and how many it is given at least.
_PATIENCE_SHARE = 0.2
_LEAST_PATIENCE = 10
_BY_CLASS = ("balanced_accuracy", "f1", "mcc")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a network is fitted.

    `learning_rate` is that of new layers, at its peak; layers that come from elsewhere take `slower` times as much.
    `frozen`: how many of the encoder's blocks stay as they are. `metric` decides, also whether rare classes weigh more.
    `mixup`: how far rows are blended in training, 0 for not at all. `trusted`: the deep path was trained on other rows
    before and need not show first that it is of use.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    metric: str
    frozen: int = 0
    slower: float = 1.0
    trusted: bool = False
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    mixup: float = 0.4
    gradient_norm: float = 1.0
    warm_up: float = 0.05

    @property
    def weighted(self) -> bool:
        """Whether classes count alike, however rare: only where the metric counts so, since it bends probabilities."""
        return self.metric in _BY_CLASS

    @property
    def patience(self) -> int:
        """Epochs without a better validation loss after which the fit ends."""
        return max(_LEAST_PATIENCE, round(_PATIENCE_SHARE * self.epochs))

    def as_record(self) -> dict[str, Any]:
        """JSON data."""
        return {**asdict(self), "weighted": self.weighted}
