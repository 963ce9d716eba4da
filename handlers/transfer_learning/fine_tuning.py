"""Fits of a start: to one depth or another, and from scratch."""

from dataclasses import dataclass, replace

from events.errors import ReasonCode
from handlers.contract import JobRefused, Outputs, Report
from handlers.networks.network import Network
from handlers.training.fit import Fitted, fit
from handlers.training.linear import Linear
from handlers.training.rows import Rows
from handlers.training.settings import Settings

from .comparing import scores_better
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

    def to_depths(self, depths: list[int], begins: float, ends: float) -> dict[int, Fitted]:
        """A fit for each of `depths` (how many last blocks are trained), but those that diverge beside others.

        Raises:
            JobRefused: `diverged`, all of them.
        """
        step = (ends - begins) / len(depths)
        fits: dict[int, Fitted] = {}
        for number, depth in enumerate(depths):
            try:
                fits[depth] = self._to_depth(depth, begins + number * step, begins + (number + 1) * step)
            except JobRefused as refusal:
                if refusal.reason is not ReasonCode.DIVERGED or (depth == depths[-1] and not fits):
                    raise
        return fits

    def best_of(self, fits: dict[int, Fitted]) -> int:
        """The depth with the best validation score; of equals the least."""
        chosen = min(fits)
        for depth in sorted(fits):
            score, than = fits[depth].validation_score, fits[chosen].validation_score
            if scores_better(score, than, self.settings.metric):
                chosen = depth
        return chosen

    def from_scratch(self, begins: float, ends: float) -> Fitted | None:
        """The same network, all of it trained, with nothing carried over; None where that diverges."""
        network = self.start.from_scratch(self.rows.X.shape[1], self.rows.n_outputs, self.settings.seed)
        what = "Training from scratch, for comparison:"
        try:
            return self._fit(network, self.settings, "scratch", what, (begins, ends))
        except JobRefused as refusal:
            if refusal.reason is ReasonCode.DIVERGED:
                return None
            raise

    def settings_at(self, depth: int) -> Settings:
        """How a fit that trains `depth` last blocks is done."""
        slower = 1.0 if self.start.is_random else _SLOWER
        trusted = self.start.head is not None
        return replace(self.settings, frozen=self.n_blocks - depth, slower=slower, trusted=trusted)

    def _to_depth(self, depth: int, begins: float, ends: float) -> Fitted:
        network = self.start.network(self.rows.X.shape[1], self.rows.n_outputs, self.settings.seed)
        what = f"Fine-tuning {depth} of {self.n_blocks} blocks:" if depth else "Fine-tuning the head:"
        return self._fit(network, self.settings_at(depth), f"depth-{depth}", what, (begins, ends), self.start.linear)

    def _fit(
        self,
        network: Network,
        settings: Settings,
        name: str,
        what: str,
        percents: tuple[float, float],
        known: Linear | None = None,
    ) -> Fitted:
        return fit(
            network, self.rows, settings, self.out, self.report, known=known, name=name, what=what, percents=percents
        )
