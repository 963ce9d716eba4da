"""What a job has made, a model or an explanation, as the event that tells of it."""

from datetime import UTC, datetime
from typing import Any

from events.explanations import ExplanationCompleted, ExplanationFacts
from events.identifiers import explanation_id_of
from events.outcomes import ModelCompleted, ModelFacts
from events.requests import EnsembleRequested, ExplanationRequested
from infra.execution.messages import Finished

from .explained import asked_sha256
from .job import Job
from .work import Work

_NAMES = {
    "automl": "AutoML",
    "deep_learning": "DeepLearning",
    "transfer_learning": "TransferLearning",
    "ensemble": "Ensemble",
}
#: What a model of models answers is what its members answer: these words of theirs are its own.
_OF_MEMBERS = ("dataset_id", "target_column", "group_column", "problem_type", "eval_metric")


def model(job: Job, work: Work, finished: Finished, folder: str, files: dict[str, str]) -> ModelCompleted:
    """The model whose `files` lie in `folder` of the store."""
    facts = ModelFacts.model_validate(finished.model)
    asked = _asked(work)
    return ModelCompleted(
        **facts.model_dump(),
        model_id=job.model_id,
        model_name=f"{_NAMES[facts.model_type]}_{job.model_id[:8]}",
        job_id=job.id,
        **_dataset(work),
        target_column=asked.get("target_column") or "",
        artifacts_path=folder,
        files=files,
        training_config=asked,
        environment=finished.record,
        created_by=work.request.created_by,
        created_at=datetime.now(UTC),
    )


def _dataset(work: Work) -> dict[str, str]:
    known = work.dataset
    return {"dataset_id": known.dataset_id if known else "", "dataset_sha256": known.sha256 if known else ""}


def _asked(work: Work) -> dict[str, Any]:
    asked = work.request.model_dump(mode="json")
    if isinstance(work.request, EnsembleRequested):
        first = work.loans.models[0][1].get("training_config") or {}
        asked |= {name: first.get(name) for name in _OF_MEMBERS}
    return asked


def explanation(job: Job, work: Work, finished: Finished, folder: str, files: dict[str, str]) -> ExplanationCompleted:
    """The explanation whose `files` lie in `folder` of the store."""
    facts, asked = ExplanationFacts.model_validate(finished.explanation), work.request
    assert isinstance(asked, ExplanationRequested), "nothing else is answered by an explanation"
    return ExplanationCompleted(
        **facts.model_dump(),
        explanation_id=explanation_id_of(job.id),
        job_id=job.id,
        model_id=asked.model_id,
        dataset_id=work.dataset.dataset_id if work.dataset else "",
        artifacts_path=folder,
        files=files,
        asked_sha256=asked_sha256(asked, work.loans),
        environment=finished.record,
        created_by=work.request.created_by,
        created_at=datetime.now(UTC),
    )
