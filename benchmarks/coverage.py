"""How often a 95 % interval holds the true score, and how wide it is.

    python -m benchmarks coverage [--samples 1000] [--rows 60 300] [--only SCENARIO ...] [--percentile]

Fixed predictors on made-up populations: the truth is the score on a million rows, the samples are small test
sets. 1000 samples know a rate of 95 % to ±1.4 points, 200 to ±3. `--percentile` measures instead the plain
percentile bootstrap (1000 resamples), which is what these intervals replaced. Prints one table per scenario.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from time import process_time
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from handlers.intervals import intervals
from handlers.metrics import Predictions, evaluate, score

Rng = np.random.Generator
Groups = np.ndarray[Any, Any] | None
Sample = tuple[Predictions, Groups]

_TRUTH_ROWS = 1_000_000
_ROWS_A_PATIENT = 5


def binary(n: int, rng: Rng, share: float = 0.5, distance: float = 2.0) -> Sample:
    """Two normal clouds; the model is a third too sure of itself. `share` of class 1, `distance` of the clouds."""
    y = (rng.random(n) < share).astype(np.int64)
    x = rng.normal(size=n) + distance * (y - 0.5)
    return _told(y, expit(1.3 * (distance * x + np.log(share / (1 - share))))), None


def four_classes(n: int, rng: Rng) -> Sample:
    """40, 30, 20 and 10 % of the rows."""
    shares, centres = np.array([0.4, 0.3, 0.2, 0.1]), np.eye(4) * 1.8
    y = rng.choice(4, n, p=shares)
    x = rng.normal(size=(n, 4)) + centres[y]
    probabilities = softmax(1.2 * (x @ centres) + np.log(shares), axis=1)
    return Predictions(y, probabilities.argmax(axis=1), probabilities), None


def regression(n: int, rng: Rng, tail: float | None = None) -> Sample:
    """`tail`: degrees of freedom of Student's errors; None: normal ones."""
    told = 2 * rng.normal(size=n)
    errors = rng.normal(size=n) if tail is None else rng.standard_t(tail, n)
    return Predictions(told + errors, 0.9 * told + 0.1), None


def diagnoses(n: int, rng: Rng) -> Sample:
    """Five rows a patient, who has one diagnosis and a way of being that all rows share."""
    patient = np.arange(n) // _ROWS_A_PATIENT
    y = (rng.random(n) < 0.5).astype(np.int64)[patient]
    x = 0.8 * rng.normal(size=n) + 0.6 * rng.normal(size=n)[patient] + 1.8 * (y - 0.5)
    return _told(y, expit(2 * x)), patient


def visits(n: int, rng: Rng) -> Sample:
    """Five rows a patient, whose errors have a correlation of one half."""
    patient = np.arange(n) // _ROWS_A_PATIENT
    told = 1.5 * rng.normal(size=n)[patient] + rng.normal(size=n)
    errors = 0.7 * rng.normal(size=n) + 0.7 * rng.normal(size=n)[patient]
    return Predictions(told + errors, 0.9 * told + 0.1), patient


def _told(y: np.ndarray[Any, Any], positive: np.ndarray[Any, Any]) -> Predictions:
    probabilities = np.stack([1 - positive, positive], axis=1)
    return Predictions(y, probabilities.argmax(axis=1), probabilities)


SCENARIOS: dict[str, Callable[[int, Rng], Sample]] = {
    "balanced": binary,
    "imbalanced": partial(binary, share=0.15),
    "four_classes": four_classes,
    "nearly_perfect": partial(binary, distance=4.6),
    "normal_errors": regression,
    "heavy_tails": partial(regression, tail=5),
    "endless_tails": partial(regression, tail=3),
    "diagnoses": diagnoses,
    "visits": visits,
}


def truth(scenario: str, rows: int = _TRUTH_ROWS) -> dict[str, float]:
    """The population's scores, from very many rows."""
    return score(SCENARIOS[scenario](rows, np.random.default_rng(0))[0])


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one metric: how many intervals there were, the share that held the truth, the mean width."""

    samples: int
    held: float
    width: float


def measure(
    scenario: str, rows: int, samples: int, true: dict[str, float], method: Callable[..., Any] = intervals
) -> dict[str, Measured]:
    """Metric → what its intervals did on `samples` test sets of `rows` rows; sample i always has seed i."""
    told: dict[str, list[list[float]]] = {name: [] for name in true}
    for number in range(samples):
        predictions, groups = SCENARIOS[scenario](rows, np.random.default_rng(number + 1))
        for name, low_high in method(predictions, groups).items():
            told[name].append(low_high)
    found = {}
    for name, ends in told.items():
        low, high = np.array(ends).T
        found[name] = Measured(
            len(ends), float(((low <= true[name]) & (true[name] <= high)).mean()), float((high - low).mean())
        )
    return found


def percentile(predictions: Predictions, groups: Groups, resamples: int = 1000) -> dict[str, list[float]]:
    """The plain percentile bootstrap, Efron & Tibshirani (1993): rows within each class, or whole groups."""
    n, rng = len(predictions.y), np.random.default_rng(0)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    is_class = predictions.probabilities is not None and groups is None
    counts = np.zeros((resamples, units.max() + 1))
    strata = predictions.y if is_class else np.zeros(counts.shape[1], dtype=np.int64)
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        counts[:, inside] = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=resamples)
    drawn = {name: values[np.isfinite(values)] for name, values in evaluate(predictions, counts[:, units]).items()}
    return {
        name: [float(end) for end in np.percentile(values, [2.5, 97.5])]
        for name, values in drawn.items()
        if len(values) > resamples / 2
    }


def _row(scenario: str, rows: tuple[int, ...], samples: int, method: Callable[..., Any]) -> str:
    """One scenario's table."""
    began, true = process_time(), truth(scenario)
    found = {n: measure(scenario, n, samples, true, method) for n in rows}
    lines = [f"{scenario:<20}{'truth':>8}" + "".join(f"{f'n = {n}: held':>16}{'width':>8}" for n in rows)]
    for name in true:
        cells = [f"{100 * found[n][name].held:>14.1f} %{found[n][name].width:>8.3f}" for n in rows]
        lines.append(f"  {name:<18}{true[name]:>8.3f}" + "".join(cells))
    return "\n".join([*lines, f"  {samples} samples each, {process_time() - began:.0f} s\n"])


def main() -> None:
    asked = _arguments()
    method = percentile if asked.percentile else intervals
    # One core a scenario: fresh processes read this when they load numpy.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        one = partial(_row, rows=tuple(asked.rows), samples=asked.samples, method=method)
        for table in pool.map(one, asked.only or SCENARIOS):
            print(table, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How often a 95 % interval holds the true score.")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[60, 300])
    parser.add_argument("--only", choices=SCENARIOS, nargs="+")
    parser.add_argument("--percentile", action="store_true", help="measure the plain percentile bootstrap instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
