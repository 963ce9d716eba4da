"""What becomes of models and explanations → `ml_models`, `model_lineage`, `explanations`."""

from datetime import UTC, datetime
from typing import Any

from events.explanations import ExplanationCompleted
from events.outcomes import (
    ModelCompleted,
    ModelDeleted,
    ModelPromoted,
    ModelRegistered,
)
from schemas.projection.registers import Write
from schemas.projection.rules import EXPLANATIONS, LINEAGE, MODELS
from schemas.projection.told import Told, identifier, text, utc

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

#: A row that has no news in any register. `completed_place` stays NULL until the model's completion is read.
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(MODELS.table.columns.keys()),
    **dict.fromkeys(
        (
            "job_id", "name", "type", "problem_type", "dataset_id", "target_column", "architecture",
            "primary_metric", "split_id", "artifacts_path", "created_by",
        ),
        "",
    ),
    **{name: {} for name in ("hyperparameters", "training_config", "metrics", "intervals", "baseline", "details")},
    "n_train": 0,
    "n_test": 0,
    "created_at": _NEVER,
    "updated_at": _NEVER,
}  # fmt: skip

#: Fields of the event that have no column of their own and are kept together.
_DETAILS = {
    "n_combination", "classes", "warnings", "leaderboard", "environment", "files", "dataset_sha256", "pictures", "plan",
}  # fmt: skip
_EXPLANATION_DETAILS = {
    "explainer", "exactness", "space", "importance_intervals", "class_importance", "n_samples", "n_background",
    "samples", "additivity_error", "local_fit", "stability", "warnings", "files", "dataset_id", "environment",
    "created_by",
}  # fmt: skip


def model_completed(told: Told) -> list[Write]:
    fact: ModelCompleted = told.fact
    row = {
        "job_id": fact.job_id,
        "name": fact.model_name,
        "type": fact.model_type,
        "problem_type": fact.problem_type,
        "dataset_id": fact.dataset_id,
        "target_column": fact.target_column,
        "architecture": fact.architecture,
        "hyperparameters": fact.hyperparameters,
        "training_config": fact.training_config,
        "metrics": fact.metrics,
        "intervals": fact.intervals,
        "primary_metric": fact.primary_metric,
        "validation_score": fact.validation_score,
        "baseline": fact.baseline.model_dump(mode="json"),
        "split_id": fact.split_id,
        "n_train": fact.n_train,
        "n_test": fact.n_test,
        "details": fact.model_dump(mode="json", include=_DETAILS),
        "artifacts_path": fact.artifacts_path,
        "created_by": fact.created_by,
        "created_at": utc(fact.created_at),
        "completed_place": told.place.sort_key(),
    }
    return [_model(told.key, row, utc(fact.created_at)), *_lineage(fact)]


def model_registered(told: Told) -> list[Write]:
    fact: ModelRegistered = told.fact
    row = {
        "mlflow_run_id": fact.mlflow_run_id,
        "registered_name": fact.registered_name,
        "version": fact.version,
        "registered_place": told.place.sort_key(),
    }
    return [_model(told.key, row, told.event.time)]


def model_promoted(told: Told) -> list[Write]:
    fact: ModelPromoted = told.fact
    return [_model(told.key, {"promoted_at": told.event.time, "promoted_by": fact.approved_by}, told.event.time)]


def model_deleted(told: Told) -> list[Write]:
    """The rows stay, marked: jobs and explanations still refer to them."""
    fact: ModelDeleted = told.fact
    gone = dict.fromkeys((told.key, *fact.with_models))
    return [_model(model_id, {"deleted_at": told.event.time}, told.event.time) for model_id in gone]


def explanation_completed(told: Told) -> list[Write]:
    fact: ExplanationCompleted = told.fact
    row = {
        "id": fact.explanation_id,
        "job_id": told.key,
        "model_id": fact.model_id,
        "method": fact.method,
        "feature_importance": fact.feature_importance,
        "visualizations": fact.visualizations,
        "details": fact.model_dump(mode="json", include=_EXPLANATION_DETAILS),
        "artifacts_path": fact.artifacts_path,
        "created_at": utc(fact.created_at),
        "place": told.place.sort_key(),
    }
    return [Write(EXPLANATIONS, row), _link(fact.model_id, fact.explanation_id, "explains")]


def _model(model_id: str, columns: dict[str, Any], updated_at: datetime) -> Write:
    return Write(MODELS, {**_NOTHING, "id": model_id, **columns, "updated_at": updated_at})


def _lineage(fact: ModelCompleted) -> list[Write]:
    links = [_link(fact.dataset_id, fact.model_id, "trained_on")]
    members = fact.training_config.get("model_ids")
    if isinstance(members, list):
        known = filter(None, map(identifier, members))
        links += [_link(member, fact.model_id, "member_of") for member in known]
    base = text(fact.training_config.get("base_model")) or ""
    if base.startswith("job:") and identifier(base.removeprefix("job:")):
        links.append(_link(base.removeprefix("job:"), fact.model_id, "fine_tuned_from"))
    return links


def _link(parent: str, child: str, relation: str) -> Write:
    return Write(LINEAGE, {"parent": parent, "child": child, "relation": relation})
