"""What is told of an explanation in its event: the largest of everything. The whole lies in its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from events.explanations import ExplainedSample, ExplanationFacts
from handlers.datasets.problem import Problem
from handlers.pictures.labels import clean, trimmed
from handlers.splits import Indices

from .doubts import middle
from .findings import Findings
from .ranking import Ranking

_MOST_FEATURES, _MOST_OF_CLASS, _MOST_SAMPLES, _MOST_CONTRIBUTIONS = 200, 20, 100, 10
#: An event may hold a megabyte, and more is told in it than this.
_MOST_BYTES = 500_000
_NAMED, _NAME_COLUMNS = 3, 40


@dataclass(frozen=True, slots=True)
class Told:
    """All that facts are made of. `classes` (c,): what each output is about, None for numbers."""

    method: Literal["shap", "lime"]
    problem: Problem
    classes: Sequence[str | None]
    findings: Findings
    ranking: Ranking
    rows: Indices
    samples: Sequence[ExplainedSample]
    visualizations: dict[str, str]
    warnings: Sequence[str]


def classes_of(problem: Problem) -> list[str | None]:
    """What the outputs are about: each class; of two classes the positive one; None for numbers."""
    labels = problem.labels
    if labels is None:
        return [None]
    return [*labels] if len(labels) > 2 else [labels[-1]]


def outputs_of(problem: Problem) -> list[str]:
    """The outputs in words."""
    return [problem.target_column if label is None else f"probability of {label}" for label in classes_of(problem)]


def explained_samples(findings: Findings, rows: Indices, classes: Sequence[str | None]) -> list[ExplainedSample]:
    """Every sample, told for the class that the model finds likeliest, with its largest contributions.

    These have three digits: an event goes to many, and a contribution of a linear model is its cell in another unit.
    """
    told = findings.told
    values, base = findings.of_told(findings.values), findings.of_told(findings.base)
    predictions = findings.of_told(findings.predictions)
    fits = None if findings.local_fits is None else findings.of_told(findings.local_fits)
    samples = []
    for place, row in enumerate(rows.tolist()):
        own = values[place]
        largest = np.argsort(-np.abs(own), kind="stable")[:_MOST_CONTRIBUTIONS]
        samples.append(
            ExplainedSample(
                row=row,
                class_name=classes[told[place]],
                prediction=float(predictions[place]),
                base_value=float(base[place]),
                contributions={findings.features[at]: _short_number(own[at]) for at in largest if own[at] != 0},
                local_fit=None if fits is None or np.isnan(fits[place]) else float(fits[place]),
            )
        )
    return samples


def _short_number(value: float) -> float:
    return float(f"{value:.3g}")


def facts_of(told: Told) -> ExplanationFacts:
    """The facts, with fewer features and samples where long names would make the event too large."""
    share = 1.0
    while True:
        facts = _facts(told, share)
        if len(facts.model_dump_json().encode()) <= _MOST_BYTES or share < 1 / _MOST_FEATURES:
            return facts
        share /= 2


def _facts(told: Told, share: float) -> ExplanationFacts:
    findings, ranking, names = told.findings, told.ranking, told.findings.features
    first = ranking.order[: _part(_MOST_FEATURES, share)]
    low, high = ranking.low[first], ranking.high[first]
    return ExplanationFacts(
        method=told.method,
        explainer=findings.explainer,
        exactness=findings.exactness,
        space="value" if told.problem.classes is None else "probability",
        feature_importance={names[place]: float(ranking.importance[place]) for place in first},
        importance_intervals={
            names[place]: [float(a), float(b)] for place, a, b in zip(first, low, high, strict=True) if np.isfinite(a)
        },
        class_importance=_by_class(told, share) if len(told.classes) > 1 else {},
        visualizations=told.visualizations,
        n_samples=findings.n_samples,
        n_background=findings.n_background,
        samples=list(told.samples[: _part(_MOST_SAMPLES, share)]),
        additivity_error=findings.additivity_error,
        local_fit=None if findings.local_fits is None else middle(findings.of_told(findings.local_fits)),
        stability=middle(findings.stabilities),
        warnings=list(told.warnings),
    )


def _by_class(told: Told, share: float) -> dict[str, dict[str, float]]:
    names, found = told.findings.features, {}
    for place, label in enumerate(told.classes):
        sizes = told.ranking.by_output[:, place]
        first = np.argsort(-sizes, kind="stable")[: _part(_MOST_OF_CLASS, share)]
        found[str(label)] = {names[at]: float(sizes[at]) for at in first}
    return found


def _part(most: int, share: float) -> int:
    return max(1, int(most * share))


def summary(findings: Findings, ranking: Ranking) -> str:
    """One line for a person: how many samples, how, and what matters most."""
    n, first = findings.n_samples, ranking.order[:_NAMED]
    first = first[ranking.importance[first] > 0]
    names = [trimmed(clean(findings.features[place]), _NAME_COLUMNS) for place in first]
    what = f"{', '.join(names)} matter{'s' * (len(names) == 1)} most" if names else "no feature matters"
    return f"Explained {n} sample{'s' * (n != 1)} by {_short(findings.explainer)}: {what}"


def _short(explainer: str) -> str:
    """The first words, where an explainer is told at length."""
    name: Any = explainer.split(",")[0].split(":")[0].split(";")[0].strip()
    return trimmed(clean(name), 2 * _NAME_COLUMNS)
