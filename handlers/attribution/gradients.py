"""Shares of a smooth model's inputs: its gradient, followed on straight lines from background rows to a sample.

On one line the integral of the gradient times the way adds up to the difference of the two answers exactly (Aumann
and Shapley 1974; Sundararajan, Taly and Yan 2017, «Axiomatic Attribution for Deep Networks»); over all background
rows the mean is taken (Erion et al. 2021, «Improving performance of deep learning models with axiomatic attribution
priors and expected gradients»). It is the Shapley value of a game in which features come little by little. Where the
model bends sharply this is not the Shapley value of whole features: how far off it is has to be measured.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .values import Floats, Tell

if TYPE_CHECKING:
    import torch

#: Points on each line: at first, and again where they do not add up. With three, values are within 3 % of those with
#: 32 (measured at 765 features and ten classes), which is less than lines are off Shapley values.
_NODES = (3, 8, 24)
#: What a line may miss before it gets more points, in parts of the answers' spread.
_MISSED = 0.1
_CELLS_AT_ONCE, _LINES_AT_ONCE = 3_000_000, 512

Singles = np.ndarray[Any, np.dtype[np.float32]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Followed:
    """Values (n, q, c) of q inputs, and what the lines missed before that was shared out.

    `missed`: of the answers' spread, the root mean square over lines; `n_points`: gradients in all.
    """

    values: Floats
    missed: float
    n_points: int


def gradients(
    function: "Callable[[torch.Tensor], torch.Tensor]",
    X: Singles,
    background: Singles,
    tell: Tell,
    rows_at_once: int = 1024,
) -> Followed:
    """Expected gradients of n samples.

    Args:
        function: (r, q) float32 → (r, c), differentiable; it sums to 1 over its outputs where `c` > 1.
        X: (n, q). background: (m, q).
        rows_at_once: of `function`.
    """
    lines = _Lines(function, X, background, rows_at_once)
    n, m = len(X), len(background)
    values, missed = np.zeros((n, lines.ends.shape[1], X.shape[1])), 0.0
    for some in lines.handfuls():
        shares, rest = lines.followed(some)
        np.add.at(values, some // m, shares.astype(np.float64))
        missed += float((rest**2).sum())
        tell(float(some[-1] + 1) / (n * m))
    missed = float(np.sqrt(missed / max(1, n * m * values.shape[1])))
    return Followed(values.transpose(0, 2, 1) / m, missed, lines.n_points)


class _Lines:
    """From every background row to every sample."""

    def __init__(self, function: Any, X: Singles, background: Singles, rows_at_once: int) -> None:
        self._function, self._X, self._background = function, X, background
        self._at_once = max(1, min(rows_at_once, _CELLS_AT_ONCE // max(1, X.shape[1])))
        self.starts, self.ends = self._answers(background), self._answers(X)
        said = np.concatenate([self.starts, self.ends])
        self._spread = np.maximum(np.ptp(said, axis=0), 1e-12)
        self.n_points = 0

    def handfuls(self) -> Iterator[Indices]:
        """Numbers of lines, sample by sample, that are followed together: as many as their gradients fit the memory."""
        n = len(self._X) * len(self._background)
        some = max(
            1, min(self._at_once, _LINES_AT_ONCE, _CELLS_AT_ONCE // max(1, self._X.shape[1] * self.ends.shape[1]))
        )
        yield from (np.arange(begin, min(begin + some, n)) for begin in range(0, n, some))

    def followed(self, some: Indices) -> tuple[Singles, Floats]:
        """(l, c, q) shares that add up line by line, and what (l, c) they had missed, in parts of the spread."""
        samples, others = np.divmod(some, len(self._background))
        starts = self._background[others]
        ways = self._X[samples] - starts
        whole = self.ends[samples] - self.starts[others]
        shares = np.zeros((*whole.shape, ways.shape[1]), dtype=np.float32)
        rest, open_lines = np.zeros_like(whole), np.arange(len(starts))
        for nodes in _NODES:
            slopes = self._mean_slopes(starts[open_lines], ways[open_lines], nodes)
            shares[open_lines] = slopes * ways[open_lines, None]
            rest[open_lines] = whole[open_lines] - shares[open_lines].sum(axis=2, dtype=np.float64)
            open_lines = np.flatnonzero((np.abs(rest) > _MISSED * self._spread).any(axis=1))
            if not len(open_lines):
                break
        return _shared_out(shares, rest), rest / self._spread

    def _mean_slopes(self, starts: Singles, ways: Singles, nodes: int) -> Singles:
        """(l, c, q): the mean gradient of each answer along each line."""
        places, weights = np.polynomial.legendre.leggauss(nodes)
        slopes = np.zeros((len(starts), self.ends.shape[1], starts.shape[1]), dtype=np.float32)
        for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
            points = starts + np.float32(place) * ways
            for begin in range(0, len(points), self._at_once):
                here = slice(begin, begin + self._at_once)
                slopes[here] += np.float32(weight) * self._slopes(points[here])
        self.n_points += len(starts) * nodes
        return slopes

    def _slopes(self, points: Singles) -> Singles:
        """(r, c, q): the gradients of the answers at points (r, q)."""
        import torch

        inputs = torch.from_numpy(points).requires_grad_()
        answers = self._function(inputs)
        c = answers.shape[1]
        # Shares of all classes sum to 1, their gradients to 0: the last one is known.
        asked = c - 1 if c > 1 else 1
        found = [torch.autograd.grad(answers[:, o].sum(), inputs, retain_graph=o + 1 < asked)[0] for o in range(asked)]
        slopes = torch.stack(found, dim=1)
        if c > 1:
            slopes = torch.cat([slopes, -slopes.sum(dim=1, keepdim=True)], dim=1)
        return np.asarray(slopes.numpy())

    def _answers(self, points: Singles) -> Floats:
        import torch

        with torch.inference_mode():
            said = [
                self._function(torch.from_numpy(points[begin : begin + self._at_once])).double().numpy()
                for begin in range(0, len(points), self._at_once)
            ]
        return np.concatenate(said)


def _shared_out(shares: Singles, rest: Floats) -> Singles:
    """Adds what is missing to each share by its size: an input without a share keeps none."""
    size = np.abs(shares)
    whole = size.sum(axis=2)
    added: Singles = size * (rest / np.where(whole > 0, whole, 1.0)).astype(np.float32)[:, :, None]
    return np.asarray(shares + added, dtype=np.float32)
