"""Who may run a job: one delivery owns it, and every start is an attempt with a number of its own.

Both are decided by the store's atomic create-if-absent, so it does not matter how many workers ask.

    jobs/<job_id>/request.json               the delivery that owns the job, and the hash of its content
    jobs/<job_id>/attempts/<n>/claim.json    attempt n was started, by whom
    jobs/<job_id>/attempts/<n>/released.json …and given back on purpose: it does not count
"""

import json
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from events.errors import OmniScopeError, ReasonCode
from events.vocabulary import Identified

from .delivery import Delivery
from .ports import Store


class Ownership(Enum):
    """What a delivery is to the job it names."""

    OURS = auto()
    #: Another delivery of the same content was first.
    REPEATED = auto()
    #: Another delivery with other content was first: this one is about no job.
    CONTRADICTED = auto()


async def own(store: Store, request: Identified, delivery: Delivery) -> Ownership:
    """Takes the job for this delivery unless another has it."""
    folder = f"jobs/{request.key}"
    ours = _claim(request, delivery)
    if await store.create(f"{folder}/request.json", ours):
        return Ownership.OURS
    first = json.loads(await store.get(f"{folder}/request.json") or ours)
    if first["content_sha256"] != request.content_sha256:
        return Ownership.CONTRADICTED
    if first["delivery"]["epoch"] != delivery.epoch:
        # The log in which the job was first asked for is gone, and nobody will deliver that record again:
        # the first delivery of the new log takes over.
        heir = f"{folder}/request.{delivery.epoch}.json"
        if await store.create(heir, ours):
            return Ownership.OURS
        first = json.loads(await store.get(heir) or ours)
    return Ownership.OURS if first["delivery"] == delivery.place else Ownership.REPEATED


def _claim(request: Identified, delivery: Delivery) -> bytes:
    claim: dict[str, Any] = {
        "content_sha256": request.content_sha256,
        "delivery": delivery.place,
        "event": request.event.model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(claim).encode()


async def start_attempt(store: Store, job_id: str, worker: str, limit: int) -> int:
    """Claims the next attempt and returns its number, from 1.

    Raises:
        OmniScopeError: `worker_lost`, when `limit` attempts were started and none was given back or ended.
    """
    while True:
        attempts = await _attempts(store, job_id)
        died = sum(not released for released in attempts.values())
        if died >= limit:
            raise OmniScopeError(
                ReasonCode.WORKER_LOST,
                f"the job was started {died} times and its worker was lost every time: "
                "look at the workers' logs and memory, then publish it again under a new job_id",
            )
        number = max(attempts, default=0) + 1
        if await store.create(_attempt_key(job_id, number, "claim"), _told(worker)):
            return number


async def release_attempt(store: Store, job_id: str, number: int, worker: str) -> None:
    """Gives an attempt back on purpose: the next start is not held against the job."""
    await store.create(_attempt_key(job_id, number, "released"), _told(worker))


async def _attempts(store: Store, job_id: str) -> dict[int, bool]:
    """Attempt number → whether it was released."""
    found: dict[int, bool] = {}
    for key in await store.list(f"jobs/{job_id}/attempts"):
        number, name = key.rsplit("/", 2)[-2:]
        found[int(number)] = found.get(int(number), False) or name == "released.json"
    return found


def _attempt_key(job_id: str, number: int, name: str) -> str:
    return f"jobs/{job_id}/attempts/{number}/{name}.json"


def _told(worker: str) -> bytes:
    return json.dumps({"worker": worker, "at": datetime.now(UTC).isoformat()}).encode()
