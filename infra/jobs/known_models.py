"""The models that are known: `models/<model_id>/record.json` holds what the event of its completion told."""

import json
from typing import Any

from events.errors import OmniScopeError, ReasonCode

from . import tombstones
from .arbiter import Outcome
from .damage import readable
from .ports import Store

_COMPLETED = "ml.model.completed"


async def remember(store: Store, outcome: Outcome) -> None:
    """Writes down what a decided end tells of a model, if it made one: whoever hears of it can find it then.

    A model that was deleted since is told again, and does not come back.
    """
    for recorded in outcome.events:
        if recorded.event.name == _COMPLETED:
            model_id = str(recorded.event.subject)
            if await tombstones.ended_as(store, model_id) is not None:
                continue
            await store.put(_key(model_id), json.dumps(recorded.event.data).encode())
            if await tombstones.ended_as(store, model_id) is not None:  # in this moment
                await store.delete(_key(model_id))


async def recall(store: Store, model_id: str) -> dict[str, Any]:
    """What was told of a model when it was completed.

    Raises:
        OmniScopeError: `model_unknown`, `model_deleted` (also while it is being decided), or `store_damaged`.
    """
    found = await store.get(_key(model_id))
    if (stands := await tombstones.standing(store, model_id)) is not None:
        raise stands.refusal(model_id)
    if found is None:
        raise OmniScopeError(
            ReasonCode.MODEL_UNKNOWN,
            f"there is no model {model_id} here: send the id of a completed one (omniscope-ml models)",
        )
    return readable(_key(model_id), found, _as_record, "train the model again; then ask again")


async def maker_of(store: Store, model_id: str) -> str | None:
    """The job that made a model, also of one that is going; None where the model is not there.

    An empty name: its record cannot be read any more.
    """
    found = await _told(store, model_id)
    return None if found is None else str(found.get("job_id") or "")


async def type_of(store: Store, model_id: str) -> str | None:
    """`ensemble`, `automl` and so on, also of a model that is going; None where it is not there, or not known."""
    found = await _told(store, model_id)
    return str(found.get("model_type")) if found else None


async def _told(store: Store, model_id: str) -> dict[str, Any] | None:
    """The record as far as it can be read; None where there is none."""
    found = await store.get(_key(model_id))
    if found is None:
        return None
    try:
        return _as_record(found)
    except (ValueError, TypeError):
        return {}


def _as_record(raw: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(raw)
    if not isinstance(told, dict):
        raise TypeError("no record of a model")
    return told


def _key(model_id: str) -> str:
    return f"models/{model_id}/record.json"
