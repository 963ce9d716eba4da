"""Smooth models, such as networks, on numbers: all subsets where that is quick, else what is measured to be closer.

Expected gradients and sampled orders both miss the Shapley values: the ones by what the model bends between two rows,
the others by chance. Which is less depends on the model and on how many features it has, so both are tried on a few
samples before the rest is explained.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .accounts import Account
from .games import ArrayGame, Ints
from .gradients import Singles, gradients
from .permutation import METHOD, pairs_for, sampled_values
from .subsets import enumerated_values, hybrids_of_all
from .values import Attributions, Floats, Tell

if TYPE_CHECKING:
    import torch

#: Answers that go through all subsets; answers that measure an error; for a network of the usual cost.
_ALL_SUBSETS, _MEASURING, _MEASURING_CELLS = 2_000_000, 60_000, 100_000_000
_USUAL_ROWS = 1024
_MEASURED_SAMPLES, _MOST_PAIRS = 3, 200
#: Background rows that gradients follow: each costs as many gradients as there are points on a line.
_LINES, _FEWEST_LINES = 32, 10
#: What lines may miss, of the answers' spread, for gradients to be trusted.
_TRUSTED = 0.05


@dataclass(slots=True)
class SmoothPart:
    """`encode`: a table to (n, q) float32; `function`: those to (n, c) answers, differentiable.

    `owners` (q,): the feature that each input belongs to. `rows_at_once`: fewer than 1,024 for costly networks.
    """

    features: list[str]
    n_outputs: int
    encode: Callable[[pd.DataFrame], Singles]
    function: "Callable[[torch.Tensor], torch.Tensor]"
    owners: Ints
    rows_at_once: int = _USUAL_ROWS
    _choices: dict[bytes, "_Choice"] = field(default_factory=dict)

    def answers(self, X: pd.DataFrame) -> Floats:
        """See `Part`."""
        return self._ask(self.encode(X[self.features])) if len(X) else np.zeros((0, self.n_outputs))

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        """See `Part`."""
        mine, theirs = self.encode(X[self.features]), self.encode(background[self.features])
        game = self._game(mine, theirs)
        players = np.unique(self.owners)
        predictions, base = self._ask(mine), self._ask(theirs).mean(axis=0)
        if hybrids_of_all(game, players) <= self._affordable(_ALL_SUBSETS):
            values = enumerated_values(game, players, self.n_outputs, tell)
            return Attributions(
                values, base, predictions, [Account("all subsets of the features", "exact to single precision")]
            )
        choice = self._choice(mine, theirs, tell)
        if choice.by_gradients and (found := self._by_gradients(mine, choice, predictions, tell)):
            return found
        sampled = sampled_values(game, predictions, base, tell, seed, self._pairs(len(mine)))
        return Attributions(
            sampled.values,
            base,
            predictions,
            [sampled.account(METHOD, f"expected gradients are off by {choice.off:.1g}")],
        )

    def _by_gradients(self, mine: Singles, choice: "_Choice", predictions: Floats, tell: Tell) -> Attributions | None:
        """None where the lines of these very samples do not add up."""
        found = gradients(self.function, mine, choice.lines, tell, self.rows_at_once)
        if found.missed > _TRUSTED:
            return None
        base = self._ask(choice.lines).mean(axis=0)
        told = (
            f"along lines from {len(choice.lines)} background rows, which add up to within {_TRUSTED:.0%} of the "
            f"answers' spread (root mean square, checked; the rest is shared out); {choice.told}"
        )
        return Attributions(self._by_owner(found.values), base, predictions, [Account("expected gradients", told)])

    def _choice(self, mine: Singles, theirs: Singles, tell: Tell) -> "_Choice":
        """Made once for a background, by the first samples that are explained against it."""
        key = theirs.tobytes()[:4096] + repr(theirs.shape).encode()
        if key not in self._choices:
            self._choices[key] = self._tried(mine, theirs, tell)
        return self._choices[key]

    def _tried(self, mine: Singles, theirs: Singles, tell: Tell) -> "_Choice":
        lines = theirs[self._chosen_lines(len(theirs))]
        budget = min(self._affordable(_MEASURING), _MEASURING_CELLS // max(1, mine.shape[1]))
        p = len(self.features)
        few = mine[: max(1, min(_MEASURED_SAMPLES, budget // (8 * (p + 1))))]
        pairs = min(_MOST_PAIRS, budget // (len(few) * 2 * (p + 1)))
        if pairs < 2:
            return _Choice(True, lines, float("nan"), "how far they are from Shapley values was not measured")

        def still(_: float) -> None:
            tell(0.0)

        followed = gradients(self.function, few, lines, still, self.rows_at_once)
        true = sampled_values(
            self._game(few, lines), self._ask(few), self._ask(lines).mean(axis=0), still, 0, n_pairs=pairs
        )
        noise = float(np.sqrt((true.errors**2).mean()))
        off = float(np.sqrt(max(((self._by_owner(followed.values) - true.values) ** 2).mean() - noise**2, 0.0)))
        by_chance = noise * np.sqrt(pairs / self._pairs(len(mine)))
        size = float(np.sqrt((true.values**2).mean()))
        much = f"{off:.2g} (± {noise:.1g})" if off > noise else f"no more than the {noise:.1g} that is known"
        told = f"on {len(few)} samples they are off Shapley values of the size {size:.2g} by {much}, root mean square"
        return _Choice(off <= by_chance and followed.missed <= _TRUSTED, lines, off, told)

    def _chosen_lines(self, m: int) -> Ints:
        most = max(_FEWEST_LINES, self._affordable(_LINES))
        return np.sort(np.random.default_rng(0).permutation(m)[:most])

    def _pairs(self, n: int) -> int:
        return max(2, self._affordable(pairs_for(n, len(self.features))))

    def _affordable(self, usual: int) -> int:
        return max(1, usual * self.rows_at_once // _USUAL_ROWS)

    def _game(self, mine: Singles, theirs: Singles) -> ArrayGame:
        return ArrayGame(self._ask, mine, theirs, self.owners, len(self.features))

    def _by_owner(self, values: Floats) -> Floats:
        """(n, q, c) of inputs → (n, p, c) of features."""
        found = np.zeros((len(self.features), len(values), values.shape[2]))
        np.add.at(found, self.owners, values.transpose(1, 0, 2))
        return found.transpose(1, 0, 2)

    def _ask(self, rows: Any) -> Floats:
        import torch

        with torch.inference_mode():
            said = [
                self.function(torch.from_numpy(rows[begin : begin + self.rows_at_once])).double().numpy()
                for begin in range(0, len(rows), self.rows_at_once)
            ]
        return np.concatenate(said)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Whether gradients or sampled orders explain; the background rows that lines start from; how far gradients are
    off, and the same in words."""

    by_gradients: bool
    lines: Singles
    off: float
    told: str
