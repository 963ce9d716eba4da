"""What is told of an ensemble, as plain data."""

from collections.abc import Sequence
from typing import Any

from events.outcomes import ModelFacts
from events.requests import EnsembleRequested
from handlers.evaluation import Evaluation, summary
from handlers.metrics import LOWER_IS_BETTER
from handlers.preparation import Prepared

from .comparison import Comparison
from .learning import Learned
from .members import Member

VERSION = 1
#: What the ensemble is called among its members.
_ITSELF = "This ensemble"
_MOST_NAMES = 6
_CHOSEN = ("strength", "shrunk")


def leaderboard(members: Sequence[Member], learned: Learned, metric: str) -> list[dict[str, Any]]:
    """Members and the ensemble by their scores on rows that none has seen, best first; else by validation scores."""
    rows = [
        {"name": member.name, "validation_score": score, "fit_seconds": None, "model_id": member.model_id}
        for member, score in zip(members, known_scores(members, learned), strict=True)
    ]
    if learned.score is not None:
        rows.append({"name": _ITSELF, "validation_score": learned.score, "fit_seconds": None})
    sign = 1 if metric in LOWER_IS_BETTER else -1
    return sorted(rows, key=lambda row: (row["validation_score"] is None, sign * (row["validation_score"] or 0.0)))


def known_scores(members: Sequence[Member], learned: Learned) -> list[float | None]:
    """The members' scores on combination rows; where there are none, those on their own validation rows."""
    if any(score is not None for score in learned.scores):
        return list(learned.scores)
    return [member.facts.get("validation_score") for member in members]


def model_facts(
    request: EnsembleRequested,
    members: Sequence[Member],
    prepared: Prepared,
    learned: Learned,
    found: Evaluation,
    compared: Comparison,
    metric: str,
    *,
    embedded: bool,
    refits: dict[str, Any] | None,
) -> ModelFacts:
    """All that is told of the model."""
    problem, parts = prepared.problem, prepared.parts
    weights = _weights(members, learned)
    return ModelFacts(
        model_type="ensemble",
        problem_type=problem.problem_type,
        primary_metric=metric,
        metrics=found.metrics,
        intervals=found.intervals,
        validation_score=learned.score,
        baseline=found.baseline,
        architecture=_architecture(members, learned, weights),
        hyperparameters=_hyperparameters(request, members, learned, weights),
        split_id=parts.split_id,
        n_train=len(parts.train),
        n_test=len(parts.test),
        n_combination=len(parts.combination),
        classes=problem.labels,
        warnings=[*learned.warnings, *compared.warnings, *found.warnings],
        leaderboard=leaderboard(members, learned, metric),
        pictures=found.pictures,
        plan=_plan(members, prepared, learned, compared, embedded=embedded, refits=refits),
    )


def told_in_a_line(model: ModelFacts, members: Sequence[Member], compared: Comparison) -> str:
    """The summary, and what the ensemble is worth beside its best member."""
    beside = f"; against its best member, {members[compared.best].name}: {compared.gain}" if compared.gain else ""
    return f"{summary(model)}{beside}"


def _weights(members: Sequence[Member], learned: Learned) -> dict[str, float]:
    """Model id → weight: its share of the mean, or what its answers are multiplied with by a meta-learner."""
    combination = learned.combination
    if combination["weights"] is not None:
        found = combination["weights"]
    else:
        coef, m = combination["meta"]["coef"], len(members)
        found = [coef[0][place * (len(coef[0]) // m)] for place in range(m)]
    return {member.model_id: float(weight) for member, weight in zip(members, found, strict=True)}


def _architecture(members: Sequence[Member], learned: Learned, weights: dict[str, float]) -> str:
    """«blending of 3 models: AutoML_1f 0.6, DeepLearning_2a 0.4»."""
    named = sorted(members, key=lambda member: -weights[member.model_id])
    told = ", ".join(f"{member.name} {weights[member.model_id]:.2g}" for member in named[:_MOST_NAMES])
    more = f" and {len(named) - _MOST_NAMES} more" if len(named) > _MOST_NAMES else ""
    how = "hard voting" if learned.combination["voting"] == "hard" else learned.combination["method"]
    return f"{how} of {len(members)} models: {told}{more}"


def _hyperparameters(
    request: EnsembleRequested, members: Sequence[Member], learned: Learned, weights: dict[str, float]
) -> dict[str, Any]:
    """What was asked for, and what was chosen for it: the penalty's strength, or how far weights are equal ones."""
    chosen: dict[str, Any] = {name: learned.combination[name] for name in _CHOSEN if name in learned.combination}
    return {
        "method": learned.combination["method"],
        "asked": request.method,
        "voting": request.voting,
        "seed": request.seed,
        "weights": {member.name: weights[member.model_id] for member in members},
        **chosen,
    }


def _plan(
    members: Sequence[Member],
    prepared: Prepared,
    learned: Learned,
    compared: Comparison,
    *,
    embedded: bool,
    refits: dict[str, Any] | None,
) -> dict[str, Any]:
    problem, gain = prepared.problem, compared.gain
    told: dict[str, Any] = {
        "version": VERSION,
        "kind": "ensemble",
        "method": learned.combination["method"],
        "voting": learned.combination["voting"],
        "weights": _weights(members, learned),
        "members": [_member(members, place, learned, compared, embedded) for place in range(len(members))],
        "best_member": members[compared.best].model_id,
        "gain": gain and {"metric": gain.metric, "value": gain.value, "low": gain.low, "high": gain.high},
        "error_correlation": compared.correlation,
        "problem": {
            "target_column": problem.target_column,
            "group_column": problem.group_column,
            "problem_type": "regression" if problem.classes is None else "classification",
        },
    }
    return told if refits is None else told | {"refits": refits}


def _member(
    members: Sequence[Member], place: int, learned: Learned, compared: Comparison, embedded: bool
) -> dict[str, Any]:
    member = members[place]
    return {
        "model_id": member.model_id,
        "name": member.name,
        "model_type": member.model_type,
        "validation_score": member.facts.get("validation_score"),
        "combination_score": learned.scores[place],
        "metrics": compared.metrics[place],
        "intervals": compared.intervals[place],
        "files_sha256": member.files_sha256,
        "embedded": embedded,
    }
