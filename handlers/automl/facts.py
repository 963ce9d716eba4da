"""What a fitted predictor tells of itself, as plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from events.outcomes import ModelFacts
from handlers.contract import Inputs
from handlers.datasets.problem import Problem
from handlers.evaluation import Evaluation
from handlers.objectives import as_written
from handlers.splits import Split

from .fitted import plain_name
from .fitting import Plan
from .replay import differences, other_circumstances

_MOST_MEMBERS = 100
_REFITTED = "_FULL"
_ENSEMBLE = "WeightedEnsemble"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a fit came to: its plan, the members of the leaderboard, the best model, how many columns that one uses."""

    fitted: dict[str, Any]
    members: list[dict[str, Any]]
    best: str
    n_used: int


def model_facts(
    plan: Plan, problem: Problem, parts: Split, trained: Trained, found: Evaluation, inputs: Inputs
) -> ModelFacts:
    """All that is told of the model."""
    fitted, best = trained.fitted, trained.best
    again = [*differences(plan.replayed, fitted), *other_circumstances(inputs)] if plan.replayed else []
    return ModelFacts(
        model_type="automl",
        problem_type=problem.problem_type,
        primary_metric=plan.metric,
        metrics=found.metrics,
        intervals=found.intervals,
        validation_score=validation_score(trained.members, best),
        baseline=found.baseline,
        architecture=architecture(best, fitted["weights"]),
        hyperparameters=hyperparameters(plan.quality, fitted, best),
        split_id=parts.split_id,
        n_train=len(parts.train),
        n_test=len(parts.test),
        n_combination=len(parts.combination),
        classes=problem.labels,
        warnings=[*again, *found.warnings, *about_unused(problem.X.shape[1] - trained.n_used)],
        leaderboard=trained.members,
        pictures=found.pictures,
        plan=fitted,
    )


def leaderboard(predictor: Any, metric: str) -> list[dict[str, Any]]:
    """Best first: name, validation score (as the metric is usually written), seconds to fit.

    A model that was refitted on all training rows stands there once, under the score of its folds.
    """
    rows = predictor.leaderboard(silent=True).to_dict("records")
    members = [
        {
            "name": plain_name(row["model"]),
            "validation_score": as_written(row["score_val"], metric),
            "fit_seconds": round(float(row["fit_time"]), 3) if math.isfinite(row["fit_time"]) else None,
        }
        for row in rows
        if not str(row["model"]).endswith(_REFITTED)
    ]
    return members[:_MOST_MEMBERS]


def validation_score(members: list[dict[str, Any]], best: str) -> float | None:
    """The best model's score on validation rows. One that was refitted on all rows has its original's."""
    scores = {member["name"]: member["validation_score"] for member in members}
    return scores.get(plain_name(best.removesuffix(_REFITTED)))


def architecture(best: str, weights: Mapping[str, float]) -> str:
    """The best model, and of an ensemble its members by weight: «WeightedEnsemble_L2: LightGBM 0.6, XGBoost 0.4»."""
    told = ", ".join(f"{name} {weight:.2g}" for name, weight in weights.items())
    return f"{best}: {told}" if told and best.startswith(_ENSEMBLE) else best


def hyperparameters(quality: str, fitted: Mapping[str, Any], best: str) -> dict[str, Any]:
    """Quality, seed, weights, and the settings of every model that the best one is made of, by name."""
    weights = fitted["weights"] if best.startswith(_ENSEMBLE) else {}
    members = set(weights) or {plain_name(best.removesuffix(_REFITTED))}
    models = {model["name"]: _settings(model) for model in fitted["models"] if model["name"] in members}
    return {"quality": quality, "seed": fitted["seed"], "weights": weights, "models": models}


def _settings(model: Mapping[str, Any]) -> dict[str, Any]:
    return {**model["hyperparameters"], "trained": model["trained"]}


def about_unused(n_columns: int) -> list[str]:
    """A warning where the model passes over columns."""
    if not n_columns:
        return []
    told = "1 column was" if n_columns == 1 else f"{n_columns} columns were"
    return [f"{told} not used: constant, free text, ids, or copies of others"]
