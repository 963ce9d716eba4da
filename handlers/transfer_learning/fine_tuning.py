"""Fits of a start: to one depth or another, and from scratch."""

from dataclasses import dataclass, replace

from handlers.contract import Outputs, Report
from handlers.metrics import is_better
from handlers.networks.network import Network
from handlers.training.fit import Fitted, fit
from handlers.training.linear import Linear
from handlers.training.rows import Rows
from handlers.training.settings import Settings

from .starts import Start

#: The learning rate of layers that were carried over, as a share of the new ones'.
_SLOWER = 0.1


@dataclass(frozen=True, slots=True)
class FineTuning:
    """A start, and the rows it is fitted to."""

    start: Start
    rows: Rows
    settings: Settings
    out: Outputs
    report: Report

    @property
    def n_blocks(self) -> int:
        """Of the encoder."""
        return len(self.start.encoder.blocks)

    def best(self, depths: list[int], begins: float, ends: float) -> tuple[int, Fitted, dict[int, float | None]]:
        """The best of `depths` (how many last blocks are trained) by validation score, its fit, and all scores."""
        step = (ends - begins) / len(depths)
        fits = {
            depth: self._to_depth(depth, begins + number * step, begins + (number + 1) * step)
            for number, depth in enumerate(depths)
        }
        chosen = depths[0]
        for depth in depths[1:]:
            if self._is_better(fits[depth].validation_score, fits[chosen].validation_score):
                chosen = depth
        return chosen, fits[chosen], {depth: fitted.validation_score for depth, fitted in fits.items()}

    def from_scratch(self, begins: float, ends: float) -> Fitted:
        """The same network, all of it trained, with nothing carried over."""
        network = self.start.from_scratch(self.rows.X.shape[1], self.rows.n_outputs, self.settings.seed)
        return self._fit(network, self.settings, "scratch", "Training from scratch, for comparison:", begins, ends)

    def _to_depth(self, depth: int, begins: float, ends: float) -> Fitted:
        network = self.start.network(self.rows.X.shape[1], self.rows.n_outputs, self.settings.seed)
        settings = self.settings_at(depth)
        what = f"Fine-tuning {depth} of {self.n_blocks} blocks:" if depth else "Fine-tuning the head:"
        return self._fit(network, settings, f"depth-{depth}", what, begins, ends, self.start.linear)

    def settings_at(self, depth: int) -> Settings:
        """How a fit that trains `depth` last blocks is done."""
        frozen, carried = self.n_blocks - depth, not self.start.is_random
        return replace(self.settings, frozen=frozen, slower=_SLOWER if carried else 1.0, trusted=carried)

    def _fit(
        self,
        network: Network,
        settings: Settings,
        name: str,
        what: str,
        begins: float,
        ends: float,
        known: Linear | None = None,
    ) -> Fitted:
        percents = (begins, ends)
        return fit(
            network, self.rows, settings, self.out, self.report, known=known, name=name, what=what, percents=percents
        )

    def _is_better(self, score: float | None, than: float | None) -> bool:
        return score is not None and (than is None or is_better(self.settings.metric, score, than))
