"""LIME's local models: ridge regression on «is in the sample's own bin», near neighbours counting more.

Kernel, distance and regression are those of `lime` (Ribeiro, Singh and Guestrin 2016; lime 0.2.0.1), in closed form and
for all outputs at once. Of many features only those enter that screening finds: the neighbours' columns are independent
of each other, so that the strongest correlations are those of the features that matter (Fan and Lv 2008, «Sure
independence screening»). All others have the value 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve

from handlers.attribution.values import Floats
from handlers.splits import Indices

from .lime_bins import Bins
from .lime_neighbours import Neighbours

Singles = np.ndarray[Any, np.dtype[np.float32]]

#: Features of a local model at most.
MOST_FEATURES = 128
_KERNEL_WIDTH = 0.75
_PENALTY = 1.0
#: Columns at a time while counting matches.
_COLUMNS = 512
_UNSEEN = -1


@dataclass(frozen=True, slots=True)
class LocalModel:
    """The features that entered (k,), what each adds in its own bin, (k, c), and what they start from, (c,)."""

    features: Indices
    coefficients: Floats
    intercept: Floats


def weights(around: Bins, samples: Bins) -> Floats:
    """(n, N): how much each neighbour counts for each sample: √exp(-d²/h²), d² cells in other bins, h = 0.75 √p."""
    p = around.shape[1]
    matches = np.zeros((len(samples), len(around)), dtype=np.float32)
    for columns, cells, own in _alike(around, samples):
        matches += (samples[:, columns] == cells).astype(np.float32) @ own.T
    return np.asarray(np.exp(-(p - matches.astype(np.float64)) / (2 * _KERNEL_WIDTH**2 * p)))


def screened(neighbours: Neighbours, samples: Bins, weight: Floats) -> Indices:
    """(n, k): the features of each sample whose bins go most with the answers, ascending; of all outputs together."""
    p, (n, _), c = samples.shape[1], weight.shape, neighbours.answers.shape[1]
    if p <= MOST_FEATURES:
        return np.tile(np.arange(p), (n, 1))
    total = weight.sum(axis=1)
    around = neighbours.answers[None] - (weight @ neighbours.answers)[:, None] / total[:, None, None]
    sides = np.concatenate([weight[:, :, None], weight[:, :, None] * around], axis=2) / total[:, None, None]
    spread = np.maximum(np.einsum("ia,iac->ic", weight, around**2) / total[:, None], 1e-300)
    flat = np.ascontiguousarray(sides.transpose(1, 0, 2).reshape(len(neighbours.bins), -1), dtype=np.float32)
    scores = np.zeros((n, p))
    for columns, cells, own in _alike(neighbours.bins, samples):
        sums = (own.T @ flat).reshape(own.shape[1], n, 1 + c).astype(np.float64)
        share, with_answers = sums[:, :, 0], sums[:, :, 1:]
        varied = np.maximum(share * (1 - share), 1e-9)
        found = (with_answers**2 / varied[:, :, None] / spread).sum(axis=2).T
        scores[:, columns] = np.where(samples[:, columns] == cells, found, scores[:, columns])
    chosen = np.argpartition(-scores, MOST_FEATURES, axis=1)[:, :MOST_FEATURES]
    return np.sort(chosen, axis=1)


def _alike(around: Bins, samples: Bins) -> Iterator[tuple[Indices, int, Singles]]:
    """Columns, a bin, and which neighbours are in it (N, columns), for every bin that samples are in."""
    for begin in range(0, around.shape[1], _COLUMNS):
        block = samples[:, begin : begin + _COLUMNS]
        for number in np.unique(block[block != _UNSEEN]):
            columns = begin + np.flatnonzero((block == number).any(axis=0))
            yield columns, int(number), (around[:, columns] == number).astype(np.float32)


def local_model(neighbours: Neighbours, sample: Bins, answer: Floats, weight: Floats, features: Indices) -> LocalModel:
    """The local model of one sample, bins (p,) and answer (c,), from its neighbours, who count `weight` (N,).

    As in `lime`, the sample is one of them, and counts 1.
    """
    alike = neighbours.bins[:, features] == sample[features]
    inside = np.concatenate([np.ones((1, len(features))), alike])
    answers = np.concatenate([answer[None], neighbours.answers])
    weight = np.concatenate([[1.0], weight])
    middle, answered = (weight @ inside / weight.sum(), weight @ answers / weight.sum())
    root = np.sqrt(weight)[:, None]
    inside, around = (inside - middle) * root, (answers - answered) * root
    gram = inside.T @ inside
    gram[np.diag_indices_from(gram)] += _PENALTY
    coefficients = solve(gram, inside.T @ around, assume_a="pos")
    return LocalModel(features, coefficients, answered - middle @ coefficients)


def fit_of(model: LocalModel, neighbours: Neighbours, sample: Bins, weight: Floats) -> Floats:
    """(c,): the weighted R² on neighbours that the model was not made from; not-a-number where answers do not vary."""
    alike = (neighbours.bins[:, model.features] == sample[model.features]).astype(np.float64)
    rest = neighbours.answers - model.intercept - alike @ model.coefficients
    around = neighbours.answers - weight @ neighbours.answers / weight.sum()
    left, all_of_it = weight @ rest**2, weight @ around**2
    varies = all_of_it > 1e-20 * np.maximum(1.0, weight @ neighbours.answers**2)
    return np.where(varies, 1 - left / np.where(varies, all_of_it, 1.0), np.nan)
