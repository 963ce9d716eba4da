"""The models that are known: `models/<model_id>/record.json` holds what the event of its completion told."""

import json
from typing import Any

from events.errors import OmniScopeError, ReasonCode

from .arbiter import Outcome
from .damage import readable
from .ports import Store

_COMPLETED = "ml.model.completed"


async def remember(store: Store, outcome: Outcome) -> None:
    """Writes down what a decided end tells of a model, if it made one: whoever hears of it can find it then."""
    for recorded in outcome.events:
        if recorded.event.name == _COMPLETED:
            await store.put(_key(str(recorded.event.subject)), json.dumps(recorded.event.data).encode())


async def recall(store: Store, model_id: str) -> dict[str, Any]:
    """What was told of a model when it was completed.

    Raises:
        OmniScopeError: `model_unknown`, or `store_damaged`.
    """
    found = await store.get(_key(model_id))
    if found is None:
        raise OmniScopeError(
            ReasonCode.MODEL_UNKNOWN,
            f"there is no model {model_id} here: send the id of a completed one (omniscope-ml models)",
        )
    return readable(_key(model_id), found, _as_record, "train the model again; then ask again")


def _as_record(raw: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(raw)
    if not isinstance(told, dict):
        raise TypeError("no record of a model")
    return told


def _key(model_id: str) -> str:
    return f"models/{model_id}/record.json"
