"""What is known of a finished model, whatever trained it: its scores on the test rows beside a plain model's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from events.outcomes import Baseline, ModelFacts

from . import pictures
from .baselines import Plain, baseline, fit_plain
from .caveats import about_result, about_split
from .datasets.problem import Problem
from .intervals import intervals
from .metrics import Predictions, score
from .provenance import Clock
from .splits import Split

#: Where in an artifact its pictures are.
PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores on the test rows with intervals, a baseline's, pictures (name → path in the artifact), and warnings."""

    metrics: dict[str, float]
    intervals: dict[str, list[float]]
    baseline: Baseline
    pictures: dict[str, str]
    warnings: list[str]


def evaluate(
    said: Predictions,
    problem: Problem,
    parts: Split,
    *,
    metric: str,
    leaderboard: list[dict[str, Any]],
    artifact: Path,
    seed: int,
    doubts: list[str],
    clock: Clock,
    history: Sequence[Mapping[str, float]] = (),
) -> Evaluation:
    """Judges what a model `said` about the test rows and draws it below `artifact`.

    Args:
        metric: the one that decides, by our name.
        leaderboard: members with `name`, `validation_score`, `fit_seconds`, best first.
        doubts: about the columns, told before everything else.
        clock: takes the seconds of each step.
        history: of a network's epochs, for the picture of how it learned.
    """
    groups = None if problem.groups is None else problem.groups.iloc[parts.test].astype(str).to_numpy()
    with clock("intervals"):
        metrics, held = score(said), intervals(said, groups, seed)
    with clock("baseline"):
        plain = _plain(problem, parts, seed)
        beside = baseline(plain, metric, metrics.get(metric), groups)
    with clock("pictures"):
        drawn = pictures.draw(
            said,
            plain.predictions,
            labels=problem.labels,
            target=problem.target_column,
            leaderboard=leaderboard,
            metric=metric,
            baseline_name=plain.name,
            directory=artifact / PICTURES,
            history=history,
        )
    warnings = [
        *doubts,
        *problem.warnings,
        *about_split(problem, parts),
        *about_result(metric, metrics, held, beside, len(parts.test)),
    ]
    return Evaluation(metrics, held, beside, {name: f"{PICTURES}/{file}" for name, file in drawn.items()}, warnings)


def _plain(problem: Problem, parts: Split, seed: int) -> Plain:
    X, y = problem.X, problem.y
    n_classes = None if problem.classes is None else len(problem.classes)
    train, test = parts.train, parts.test
    return fit_plain(X.iloc[train], y[train], X.iloc[test], np.asarray(y[test]), n_classes, seed)


def summary(model: ModelFacts) -> str:
    """The metric that decided and, where that is no everyday one, accuracy beside it."""
    told = [_scored(model, name) for name in dict.fromkeys((model.primary_metric, "accuracy")) if name in model.metrics]
    if not told:
        return f"Trained {model.architecture}"
    return f"{', '.join(told)} on {model.n_test} test rows"


def _scored(model: ModelFacts, name: str) -> str:
    low, high = model.intervals.get(name, [float("nan")] * 2)
    return f"{name} {model.metrics[name]:.3g} ({low:.3g} to {high:.3g})"
