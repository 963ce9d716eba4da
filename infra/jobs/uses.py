"""Who works with a model: `models/<model_id>/used_by/<job_id>.json`, one for each job.

A job writes that it uses a model and then looks whether the model is going; whoever removes a model puts up a
tombstone and then looks who uses it. So one of the two always finds the other, and no job works on with a model
that is gone without the one who removed it knowing.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from events.vocabulary import Identified

from . import tombstones
from .ports import Store


async def borrow(store: Store, model_ids: Iterable[str], request: Identified) -> None:
    """Says that the job of `request` uses the models, from now until it has an end. Saying it again changes nothing.

    Raises:
        OmniScopeError: `model_deleted`: one of them is going or gone. The job is to end as failed with it; what it
            has said until then stays until it is given back, for an earlier attempt may be at work with it.
    """
    wanted = list(dict.fromkeys(model_ids))
    assert request.type.kind is not None, "only requests of a kind become jobs"
    told = {"job_id": request.key, "kind": request.type.kind.value, "at": datetime.now(UTC).isoformat()}
    for model_id in wanted:
        await store.create(_key(model_id, request.key), json.dumps(told).encode())
    for model_id in wanted:
        if (stands := await tombstones.standing(store, model_id)) is not None:
            raise stands.refusal(model_id)


async def give_back(store: Store, model_ids: Iterable[str], job_id: str) -> None:
    """The job has ended, and nothing that it made needs the models. Only to be told when its end is decided.

    Where nobody comes to tell it, nothing is held up: whoever removes a model looks at the ends of its users.
    """
    for model_id in dict.fromkeys(model_ids):
        await store.delete(_key(model_id, job_id))


async def users_of(store: Store, model_id: str) -> list[str]:
    """Ids of the jobs that have said that they use the model, whatever became of them."""
    keys = await store.list(f"models/{model_id}/used_by")
    return [key.rsplit("/", 1)[-1].removesuffix(".json") for key in keys]


def _key(model_id: str, job_id: str) -> str:
    return f"models/{model_id}/used_by/{job_id}.json"
