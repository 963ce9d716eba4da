"""LIME: what a linear model of a sample's surroundings says, how well it fits there, and whether it says so again.

Each local model is drawn three times from neighbours of its own. Values are the mean of the three. The fit is the
weighted R² of each on the next one's neighbours: on its own ones it would be better the more features there are.
Stability is how much of the ten features with the largest values stays from one draw to another, shared features over
all of both (Jaccard), in the mean over pairs: the variables stability index of Visani et al. (2022), «Statistical
stability indices for LIME: obtaining reliable explanations for machine learning models».
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from handlers.attribution.values import Floats, Part

from .findings import Findings
from .lime_bins import Binning, Bins
from .lime_neighbours import Neighbours, neighbours
from .lime_ridge import LocalModel, fit_of, local_model, screened, weights
from .progress import Stretch

#: As `lime` has it.
N_NEIGHBOURS = 5000
N_DRAWS = 3
#: Training rows that neighbours' cells are drawn from.
MOST_TRAINING = 1000
_TOP = 10
#: Weights and weighted answers held at a time: 80 MB.
_MOST_CELLS = 5_000_000
_ANSWERED = 0.7


@dataclass(frozen=True, slots=True)
class _Local:
    """Of one sample: `values` (p, c), `base` (c,), `fit` (c,), `stability`."""

    values: Floats
    base: Floats
    fit: Floats
    stability: float


def lime_values(part: Part, X: pd.DataFrame, training: pd.DataFrame, seed: int, stretch: Stretch) -> Findings:
    """Explains the n rows of `X` in the surroundings that `training` (m, p) tells of.

    Raises:
        JobRefused: `timed_out`.
    """
    done: list[_Local] = []
    binning = Binning(training)
    samples, predictions = binning.of(X), part.answers(X)
    drawn = _drawn(part, training, binning.of(training), seed, stretch.part(0, _ANSWERED))
    solving = stretch.part(_ANSWERED, 1)
    step = max(1, _MOST_CELLS // (N_NEIGHBOURS * (1 + predictions.shape[1])))
    # Many small systems: threads would wait for each other longer than they reckon.
    with threadpool_limits(1, user_api="blas"):
        for begin in range(0, len(X), step):
            some = slice(begin, begin + step)
            for local in _explained(drawn, samples[some], predictions[some]):
                done.append(local)
                solving.tell(len(done) / len(X), f"Explained {len(done)} of {len(X)} samples")
    return Findings(
        features=part.features,
        values=np.stack([local.values for local in done]),
        base=np.stack([local.base for local in done]),
        predictions=predictions,
        explainer=f"LIME: ridge regression on {N_NEIGHBOURS:,} neighbours, weighted, mean of {N_DRAWS} draws",
        exactness="approximate: see local_fit and stability",
        n_background=len(training),
        local_fits=np.stack([local.fit for local in done]),
        stabilities=np.array([local.stability for local in done]),
    )


def _drawn(part: Part, training: pd.DataFrame, bins: Bins, seed: int, stretch: Stretch) -> list[Neighbours]:
    found = []
    for number in range(N_DRAWS):
        rng = np.random.default_rng([seed, number])
        for word in neighbours(training, bins, N_NEIGHBOURS, part.answers, rng):
            if isinstance(word, Neighbours):
                found.append(word)
            else:
                stretch.tell((number + word) / N_DRAWS, "Asking the model about neighbours of the samples")
    return found


def _explained(drawn: Sequence[Neighbours], samples: Bins, predictions: Floats) -> Iterator[_Local]:
    weight = [weights(around.bins, samples) for around in drawn]
    entered = [screened(around, samples, some) for around, some in zip(drawn, weight, strict=True)]
    for at, (sample, answer) in enumerate(zip(samples, predictions, strict=True)):
        own = [some[at] for some in weight]
        models = [
            local_model(around, sample, answer, some, features[at])
            for around, some, features in zip(drawn, own, entered, strict=True)
        ]
        # Each is tried on the neighbours of the next.
        fits = [
            fit_of(model, drawn[(number + 1) % N_DRAWS], sample, own[(number + 1) % N_DRAWS])
            for number, model in enumerate(models)
        ]
        yield _summed(models, np.mean(fits, axis=0), len(sample), int(answer.argmax()))


def _summed(models: Sequence[LocalModel], fit: Floats, p: int, told: int) -> _Local:
    values = np.zeros((p, len(fit)))
    for model in models:
        values[model.features] += model.coefficients / len(models)
    base = np.mean([model.intercept for model in models], axis=0)
    # Where the answers do not vary there is nothing to explain, but rounding.
    values[:, np.isnan(fit)] = 0.0
    stability = float("nan") if np.isnan(fit[told]) else _stability(models, p, told)
    return _Local(values, base, fit, stability)


def _stability(models: Sequence[LocalModel], p: int, told: int) -> float:
    """1 where all draws name the same top features."""
    count = min(_TOP, max(1, p // 2))
    sizes = [np.abs(model.coefficients[:, told]) for model in models]
    tops = [
        set(model.features[np.argsort(-size, kind="stable")[:count]].tolist())
        for model, size in zip(models, sizes, strict=True)
    ]
    return float(np.mean([len(one & other) / len(one | other) for one, other in combinations(tops, 2)]))
