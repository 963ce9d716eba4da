"""What a reader of a result should know before believing it."""

from collections.abc import Mapping

import numpy as np

from events.outcomes import Baseline
from handlers.datasets.problem import Problem
from handlers.metrics import Predictions
from handlers.splits import Split

_FEW_TEST_ROWS = 50


def about_split(problem: Problem, parts: Split) -> list[str]:
    """Few test rows, and classes that are not among them."""
    found = []
    if len(parts.test) < _FEW_TEST_ROWS:
        found.append(f"Only {len(parts.test)} test rows: the scores are rough")
    if problem.classes is not None:
        missing = len(problem.classes) - len(np.unique(problem.y[parts.test]))
        if missing:
            found.append(f"{missing} classes are not among the test rows, so nothing is known of how they are told")
    return found


def about_result(
    metric: str, said: Predictions, metrics: Mapping[str, float], plain: Baseline, unused: int
) -> list[str]:
    """A baseline that is not beaten, a score too good for its interval, columns that were not used."""
    found = []
    if not plain.beaten:
        found.append(_not_beaten(metric, metrics, plain))
    if said.probabilities is not None and metrics.get("accuracy") == 1.0:
        # No resample of right answers holds a wrong one; Hanley and Lippman-Hand (1983) give the bound.
        bound = max(0.0, 1 - 3 / len(said.y))
        found.append(
            f"Every test row was right, so the intervals show no doubt: the true accuracy may be as low as {bound:.2f}"
        )
    if unused:
        found.append(f"{unused} columns were not used: they are constant, free text, ids, or copies of others")
    return found


def _not_beaten(metric: str, metrics: Mapping[str, float], plain: Baseline) -> str:
    own, other = metrics.get(metric), plain.metrics.get(metric)
    figures = f" ({own:.3g} against {other:.3g})" if own is not None and other is not None else ""
    return f"The model does not beat the baseline, {plain.name}, in {metric}{figures}"
