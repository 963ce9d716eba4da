"""A model as people call it: by its own id, or by the id of the job that made it."""

from typing import Any

from events.errors import OmniScopeError, ReasonCode
from events.identifiers import model_id_of
from events.outcomes import JobStatus

from . import arbiter, claims, known_models
from .ports import Store


async def called(store: Store, name: str) -> dict[str, Any]:
    """What is recorded of the model called `name`, or of the one that the job called so has made.

    Raises:
        OmniScopeError: `model_unknown`, `model_unfinished`: that job has not come to its end, `model_deleted`, or
            `store_damaged`.
    """
    try:
        return await known_models.recall(store, name)
    except OmniScopeError as refusal:
        if refusal.reason is not ReasonCode.MODEL_UNKNOWN:
            raise
        return await _made_by(store, name, refusal)


async def _made_by(store: Store, job_id: str, unknown: OmniScopeError) -> dict[str, Any]:
    try:
        return await known_models.recall(store, model_id_of(job_id))
    except OmniScopeError as refusal:
        if refusal.reason is not ReasonCode.MODEL_UNKNOWN:
            raise
    if await claims.claimed(store, job_id) is None:
        raise unknown
    outcome = await arbiter.find(store, job_id)
    if outcome is None:
        raise OmniScopeError(
            ReasonCode.MODEL_UNFINISHED,
            f"job {job_id} has not come to its end, so there is no model of it yet: "
            f"wait for it (omniscope-ml watch {job_id}), then ask again under a new job_id",
        )
    how = "ended without a model" if outcome.status is JobStatus.COMPLETED else outcome.status.value
    raise OmniScopeError(
        ReasonCode.MODEL_UNKNOWN, f"job {job_id} made no model ({how}): send the id of a completed model"
    )
