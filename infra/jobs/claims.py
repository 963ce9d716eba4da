"""Who may run a job: one delivery owns it, and every start is an attempt with a number of its own.

Both are decided by the store's atomic create-if-absent, so it does not matter how many workers ask.

    jobs/<job_id>/request.json               the delivery that owns the job, and the hash of its content
    jobs/<job_id>/attempts/<n>/claim.json    attempt n was started, by whom
    jobs/<job_id>/attempts/<n>/released.json …and given back on purpose: it does not count
"""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from events.envelope import CloudEvent, headers_of
from events.errors import OmniScopeError, ReasonCode
from events.vocabulary import Identified, identify

from .damage import of_a_job, readable
from .delivery import Delivery
from .ports import Store

#: Seconds a start waits for the attempt before it to be given back, and between two looks.
GIVE_BACK_S = 1.0
LAST_GIVE_BACK_S = 15.0
_LOOK_AGAIN_S = 0.05


class Ownership(Enum):
    """What a delivery is to the job it names."""

    OURS = auto()
    #: Another delivery of the same content was first.
    REPEATED = auto()
    #: Another delivery with other content was first: this one is about no job.
    CONTRADICTED = auto()


async def own(store: Store, request: Identified, delivery: Delivery) -> Ownership:
    """Takes the job for this delivery unless another has it.

    Raises:
        StoreDamaged: it cannot be told who has.
    """
    folder = f"jobs/{request.key}"
    key, ours = f"{folder}/request.json", _claim(request, delivery)
    if await store.create(key, ours):
        return Ownership.OURS
    first = await _first(store, key, request.key)
    if first["content_sha256"] != request.content_sha256:
        return Ownership.CONTRADICTED
    if first["epoch"] != delivery.epoch:
        # The log in which the job was first asked for is gone, and nobody will deliver that record again:
        # the first delivery of the new log takes over.
        heir = f"{folder}/request.{delivery.epoch}.json"
        if await store.create(heir, ours):
            return Ownership.OURS
        key, first = heir, await _first(store, heir, request.key)
    if first["delivery"] == delivery.place:
        return Ownership.OURS
    owner = first["delivery"]
    if delivery.sent_back_from == f"{owner['topic']}:{owner['partition']}:{owner['offset']}":
        # The record that owned the job was put aside, and this is the same one, sent back: it owns the job now.
        await store.put(key, ours)
        return Ownership.OURS
    return Ownership.REPEATED


async def _first(store: Store, key: str, job_id: str) -> dict[str, Any]:
    return readable(key, await store.get(key) or b"", _as_claim, of_a_job(job_id))


def _as_claim(raw: bytes) -> dict[str, Any]:
    claim = json.loads(raw)
    return {name: claim[name] for name in ("content_sha256", "delivery", "event")} | {
        "epoch": claim["delivery"]["epoch"]
    }


def _claim(request: Identified, delivery: Delivery) -> bytes:
    claim: dict[str, Any] = {
        "content_sha256": request.content_sha256,
        "delivery": delivery.place,
        "event": request.event.model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(claim).encode()


async def claimed(store: Store, job_id: str) -> Identified | None:
    """The request that owns the job, if any delivery has taken it."""
    found = await store.get(f"jobs/{job_id}/request.json")
    if found is None:
        return None
    return readable(f"jobs/{job_id}/request.json", found, _as_request, of_a_job(job_id))


def _as_request(raw: bytes) -> Identified:
    first = json.loads(raw)
    event = CloudEvent.model_validate(first["event"])
    return identify(first["delivery"]["topic"], None, event.to_bytes(), headers_of(event))


class AttemptsUsedUp(OmniScopeError):
    """The job was started `number` times, and its worker was lost every time."""

    def __init__(self, number: int) -> None:
        super().__init__(
            ReasonCode.WORKER_LOST,
            f"the job was started {number} times and its worker was lost every time: "
            "look at the workers' logs and memory, then publish it again under a new job_id",
        )
        self.number = number


async def _given_back(store: Store, job_id: str, limit: int) -> dict[int, bool]:
    """The attempts so far, when the last one has been given back or had time enough: then its worker is dead or frozen.

    When partitions move, the old owner and the new one hear of it in the same moment, and ending a job takes longer
    than beginning one: without this the two would run side by side. They may be the same worker. Where the job would be
    given up for good the wait is longer.
    """
    attempts, waited = await _attempts(store, job_id), 0.0
    while (latest := max(attempts, default=0)) and not attempts[latest]:
        if waited >= (GIVE_BACK_S if _died(attempts) < limit else LAST_GIVE_BACK_S):
            break
        await asyncio.sleep(_LOOK_AGAIN_S)
        waited += _LOOK_AGAIN_S
        attempts = await _attempts(store, job_id)
    return attempts


def _died(attempts: dict[int, bool]) -> int:
    return sum(not released for released in attempts.values())


async def start_attempt(store: Store, job_id: str, worker: str, token: str, limit: int) -> int:
    """Claims the next attempt and returns its number, from 1. `token` is this start's own.

    Raises:
        AttemptsUsedUp: `limit` attempts were started, and none was given back or came to an end.
    """
    attempts = await _given_back(store, job_id, limit)
    while True:
        if (died := _died(attempts)) >= limit:
            raise AttemptsUsedUp(died)
        number = max(attempts, default=0) + 1
        ours = json.dumps({"worker": worker, "token": token, "at": datetime.now(UTC).isoformat()}).encode()
        key = _attempt_key(job_id, number, "claim")
        # Where the answer to a successful create was lost and it was repeated, what stands there is ours.
        if await store.create(key, ours) or _said(await store.get(key), "token") == token:
            return number
        attempts = await _attempts(store, job_id)


async def latest_attempt(store: Store, job_id: str) -> int:
    """The number of the last attempt that was started; 0 where none was."""
    return max(await _attempts(store, job_id), default=0)


async def release_attempt(store: Store, job_id: str, token: str, why: str = "") -> None:
    """Gives back on purpose what was started with `token`, if anything: it is not held against the job."""
    for number, released in (await _attempts(store, job_id)).items():
        if not released and _said(await store.get(_attempt_key(job_id, number, "claim")), "token") == token:
            await store.create(_attempt_key(job_id, number, "released"), json.dumps({"why": why}).encode())


async def times_given_back(store: Store, job_id: str, why: str) -> int:
    """How many attempts were given back for this reason."""
    given_back = [number for number, released in (await _attempts(store, job_id)).items() if released]
    told = [await store.get(_attempt_key(job_id, number, "released")) for number in given_back]
    return sum(_said(one, "why") == why for one in told)


async def _attempts(store: Store, job_id: str) -> dict[int, bool]:
    """Attempt number → whether it was released."""
    found: dict[int, bool] = {}
    for key in await store.list(f"jobs/{job_id}/attempts"):
        number, name = key.rsplit("/", 2)[-2:]
        if number.isdecimal():
            found[int(number)] = found.get(int(number), False) or name == "released.json"
    return found


def _attempt_key(job_id: str, number: int, name: str) -> str:
    return f"jobs/{job_id}/attempts/{number}/{name}.json"


def _said(claim: bytes | None, name: str) -> str | None:
    """None also where the claim cannot be read: then it is somebody else's, and the number is taken."""
    with suppress(ValueError, LookupError, TypeError):
        return str(json.loads(claim)[name]) if claim else None
    return None
