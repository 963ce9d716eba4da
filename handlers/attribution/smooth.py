"""Smooth models, such as networks, on numbers: all subsets where that is quick, else what is measured to be closer.

Expected gradients and sampled orders both miss the Shapley values: the ones by what the model bends between two rows,
the others by chance. Which is less depends on the model and on how many features it has, so both are tried on a few
samples, in the game of the whole background, before the rest is explained.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .accounts import Account
from .games import ArrayGame, Ints
from .gradients import Singles, gradients
from .permutation import METHOD, Sampled, pairs_for, sampled_values
from .subsets import enumerated_values, hybrids_of_all
from .values import Attributions, Floats, Tell

if TYPE_CHECKING:
    import torch

#: Answers that go through all subsets; answers that measure an error; for a network of the usual cost.
_ALL_SUBSETS, _MEASURING, _MEASURING_CELLS = 2_000_000, 60_000, 100_000_000
_USUAL_ROWS = 1024
_MEASURED_SAMPLES, _MOST_PAIRS = 3, 200
#: Background rows that gradients follow: each costs as many gradients as there are points on a line.
_LINES, _MOST_LINES, _FEWEST_LINES = 32, 100, 10
#: Points on a line, and what the gradient of one answer costs, in answers (measured: a small cnn_1d of 250 columns).
_POINTS, _GRADIENT = 3, 5
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
        choice = self._choice(mine, theirs, base, tell)
        if choice.by_gradients and (found := self._by_gradients(mine, choice, predictions, base, tell)):
            return found
        pairs = self._pairs(len(mine))
        sampled = sampled_values(game, predictions, base, tell, seed, pairs, self.rows_at_once)
        return Attributions(
            sampled.values,
            base,
            predictions,
            [sampled.account(METHOD, f"expected gradients are off by {choice.off:.1g}")],
        )

    def _by_gradients(
        self, mine: Singles, choice: "_Choice", predictions: Floats, base: Floats, tell: Tell
    ) -> Attributions | None:
        """None where the lines of these very samples do not add up."""
        found = gradients(self.function, mine, choice.lines, tell, self.rows_at_once)
        if found.missed > _TRUSTED:
            return None
        values = _shared_out(self._by_owner(found.values), predictions - base)
        told = (
            f"along lines from {choice.said_lines}, which add up to within {_TRUSTED:.0%} of the "
            f"answers' spread (root mean square, checked; the rest is shared out by size); {choice.told}"
        )
        return Attributions(values, base, predictions, [Account("expected gradients", told)])

    def _choice(self, mine: Singles, theirs: Singles, base: Floats, tell: Tell) -> "_Choice":
        """Made once for a background, by the first samples that are explained against it."""
        key = hashlib.sha256(theirs.tobytes()).digest()
        if key not in self._choices:
            self._choices[key] = self._tried(mine, theirs, base, tell)
        return self._choices[key]

    def _tried(self, mine: Singles, theirs: Singles, base: Floats, tell: Tell) -> "_Choice":
        few_lines, *more_lines = self._lines(theirs, base, len(mine))
        budget = min(self._affordable(_MEASURING), _MEASURING_CELLS // max(1, mine.shape[1]))
        p = len(self.features)
        few = mine[: max(1, min(_MEASURED_SAMPLES, budget // (8 * (p + 1))))]
        pairs = min(_MOST_PAIRS, budget // (len(few) * 2 * (p + 1)))
        if pairs < 2:
            return replace(few_lines, told="how far they are from Shapley values was not measured")

        def still(_: float) -> None:
            tell(0.0)

        said = self._ask(few)
        true = sampled_values(self._game(few, theirs), said, base, still, 0, pairs, self.rows_at_once)
        by_chance = _size(true.errors) * np.sqrt(pairs / self._pairs(len(mine)))
        best = few_lines
        for one in (few_lines, *more_lines):
            followed = gradients(self.function, few, one.lines, still, self.rows_at_once)
            best = one.measured(_shared_out(self._by_owner(followed.values), said - base), true)
            best = replace(best, by_gradients=best.off <= by_chance and followed.missed <= _TRUSTED)
            if best.by_gradients or followed.missed > _TRUSTED:
                break  # more lines help against what few tell of the background, not against bends
        return best

    def _lines(self, theirs: Singles, base: Floats, n: int) -> list["_Choice"]:
        """Some of the background rows; where more cost no more than sampled orders would, those, too."""
        order, found = np.random.default_rng(0).permutation(len(theirs)), list[_Choice]()
        few = max(_FEWEST_LINES, self._affordable(_LINES))
        of_line = _POINTS * (1 + _GRADIENT * max(1, self.n_outputs - 1))
        more = min(_MOST_LINES, self._pairs(n) * 2 * (len(self.features) + 1) // of_line)
        for count in (few, more):
            lines = theirs[np.sort(order[:count])]
            if not found or len(lines) > len(found[0].lines):
                apart = float(np.abs(self._ask(lines).mean(axis=0) - base).max())
                found.append(_Choice(lines, len(theirs), apart))
        return found

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
    """The background rows that lines start from, and whether gradients along them explain or sampled orders do.

    `of`: background rows in all; `apart`: how far the lines' mean answer is from that of all of them, at most. `off`:
    how far gradients are off Shapley values; `told`: the same in words.
    """

    lines: Singles
    of: int
    apart: float
    by_gradients: bool = True
    off: float = float("nan")
    told: str = ""

    @property
    def said_lines(self) -> str:
        if len(self.lines) == self.of:
            return f"all {self.of} background rows"
        return (
            f"{len(self.lines)} of {self.of} background rows (their mean answer is up to {self.apart:.1g} off that of "
            "all, which is shared out by size)"
        )

    def measured(self, values: Floats, true: Sampled) -> "_Choice":
        """With what is known of these values' error."""
        noise = _size(true.errors)
        off = float(np.sqrt(max(_size(values - true.values) ** 2 - noise**2, 0.0)))
        much = f"{off:.2g} (± {noise:.1g})" if off > noise else f"no more than the {noise:.1g} that is known"
        size = _size(true.values)
        told = (
            f"on {len(values)} samples they are off Shapley values of the size {size:.2g} by {much}, root mean square"
        )
        return replace(self, off=off, told=told)


def _size(values: Floats) -> float:
    return float(np.sqrt((values**2).mean()))


def _shared_out(values: Floats, total: Floats) -> Floats:
    """(n, p, c) that add up to (n, c): each value gets of what is missing by its size, so that none stays none."""
    rest, size = total - values.sum(axis=1), np.abs(values)
    whole = size.sum(axis=1)
    return np.asarray(values + size * (rest / np.where(whole > 0, whole, 1.0))[:, None])
