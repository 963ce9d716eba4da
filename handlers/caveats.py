"""What a reader of a result should know before believing it."""

from collections.abc import Mapping

import numpy as np

from events.outcomes import Baseline
from handlers.datasets.problem import Problem
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
    metric: str,
    metrics: Mapping[str, float],
    intervals: Mapping[str, list[float]],
    plain: Baseline,
    n_test: int,
) -> list[str]:
    """A baseline that is not beaten, a score that is too good to be all there is."""
    found = []
    if not plain.beaten:
        found.append(_not_beaten(metric, metrics, plain))
    if metrics.get("accuracy") == 1.0:
        low, _ = intervals["accuracy"]
        found.append(
            f"Every test row was right, but {n_test} rows leave room for mistakes: "
            f"the true accuracy may be as low as {low:.4g}"
        )
    return found


def _not_beaten(metric: str, metrics: Mapping[str, float], plain: Baseline) -> str:
    own, other = metrics.get(metric), plain.metrics.get(metric)
    figures = f" ({own:.3g} against {other:.3g})" if own is not None and other is not None else ""
    return f"The model does not beat the baseline, {plain.name}, in {metric}{figures}"
