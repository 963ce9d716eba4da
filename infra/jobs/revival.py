"""What a broker's log has lost is told again from the store, which still knows it.

Two things can be missing from the embedded broker's log: its last milliseconds, when everything was killed at once,
and all of it, when its journal was taken away. Whatever is published here may come a second time: readers drop an
event that they have seen, and a second delivery of the same request runs nothing.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import structlog

from events.envelope import CloudEvent
from events.topics import Topic

from . import arbiter, remembering, tombstones
from .catalogue import Manifest
from .damage import StoreDamaged
from .ports import Outcomes, Store

log = structlog.get_logger(__name__)

T = TypeVar("T")

_AT_A_TIME = 50
#: Two clocks may differ: the store's, which dates what is written, and the journal's.
_CLOCKS_DIFFER_S = 60.0


class Log(Protocol):
    """What is left of the log."""

    @property
    def epoch(self) -> str:
        """The name of its life."""

    @property
    def complete_until(self) -> float:
        """Unix time up to which nothing is missing that was published in this life."""

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Whether a record of this life stands there."""


class Publisher(Outcomes, Protocol):
    """The way out, for whoever must know where an event came to stand."""

    async def publish_at(self, topic: str, event: CloudEvent) -> tuple[int, int]:
        """Publishes; the partition and the offset."""


async def revive(store: Store, outcomes: Publisher, left: Log, written: Mapping[str, float]) -> list[str]:
    """Publishes what is lost; returns the ids of the jobs whose requests were.

    A job that has ended does not run again: its new delivery tells the recorded end.

    Args:
        left: the log as it was restored, before anybody else publishes.
        written: every key below `jobs`, `datasets` and `deletions` in the store → Unix time at which it was written.
    """
    since = left.complete_until - _CLOCKS_DIFFER_S
    told, waiting = _sorted_out(written, left.epoch, since)
    revived = await _all(waiting, lambda job_id: _ask_again(store, outcomes, job_id, left))
    await _all(told, lambda job_id: _tell_again(store, outcomes, job_id, left.epoch))
    datasets = [key for key, at in written.items() if _is_manifest(key) and at >= since]
    await _all(datasets, lambda key: _register_again(store, outcomes, key))
    # After the jobs: what tells that a model is gone comes after what tells of it.
    deletions = tombstones.requests_among(written, since)
    await _all(deletions, lambda request: _delete_again(store, outcomes, request))
    jobs = [job_id for job_id in revived if job_id is not None]
    if jobs or told or datasets or deletions:
        log.warning(
            "told_again_after_lost_log",
            requests=len(jobs),
            ends=len(told),
            datasets=len(datasets),
            deletions=len(deletions),
        )
    return jobs


def _sorted_out(written: Mapping[str, float], epoch: str, since: float) -> tuple[list[str], list[str]]:
    """Jobs whose end was told so lately that the log may have lost it, and those that wait to be carried out."""
    ended: dict[str, float] = {}
    claimed: dict[str, None] = {}
    for key, at in written.items():
        folder, job_id, name = (*key.split("/", 2), "")[:3]
        if folder != "jobs":
            continue
        if name.startswith("published/"):
            lately = at if name == f"published/{epoch}" else 0.0
            ended[job_id] = max(ended.get(job_id, 0.0), lately)
        elif name == "request.json":
            claimed[job_id] = None
    return [job_id for job_id, at in ended.items() if at >= since], [j for j in claimed if j not in ended]


async def _ask_again(store: Store, outcomes: Publisher, job_id: str, left: Log) -> str | None:
    """Publishes a job's request unless the log still holds it."""
    heir, first = f"jobs/{job_id}/request.{left.epoch}.json", f"jobs/{job_id}/request.json"
    for key in (heir, first):
        if (claim := json.loads(await store.get(key) or b"{}")) and await _is_lost(claim, left):
            event = CloudEvent.model_validate(claim["event"]).model_copy(update={"subject": job_id})
            topic = claim["delivery"]["topic"]
            if key == first and claim["delivery"]["epoch"] == left.epoch:
                # Nobody's from now on: the first delivery of this life takes it, as soon as there is one.
                vacant = {**claim, "delivery": {**claim["delivery"], "epoch": ""}}
                await store.put(first, json.dumps(vacant).encode())
                await outcomes.publish_at(topic, event)
                return job_id
            partition, offset = await outcomes.publish_at(topic, event)
            if claim["delivery"]["epoch"] == left.epoch:
                # The record that owned the job is gone, and the new one owns it from now on. Dying before this line
                # means to publish once more.
                place = {"epoch": left.epoch, "topic": topic, "partition": partition, "offset": offset}
                await store.put(key, json.dumps({**claim, "delivery": place}).encode())
            return job_id
        if claim:
            return None
    return None


async def _is_lost(claim: Mapping[str, Any], left: Log) -> bool:
    place = claim["delivery"]
    if place["epoch"] != left.epoch:
        return True  # the first delivery in this life will be the job's
    return not await asyncio.to_thread(left.holds, place["topic"], place["partition"], place["offset"])


async def _tell_again(store: Store, outcomes: Outcomes, job_id: str, epoch: str) -> None:
    if (outcome := await arbiter.find(store, job_id)) is not None:
        await remembering.remember(store, outcome)
        await arbiter.tell(store, outcomes, outcome, epoch=epoch, again=True)


async def _delete_again(store: Store, outcomes: Outcomes, request: str) -> None:
    """Tells how a request to remove a model ended; one that has not ended is asked again, and goes on."""
    if (ending := await tombstones.ending_of(store, request)) is not None:
        await outcomes.publish(ending.told.topic, ending.told.event)
    elif (asked := await store.get(tombstones.request_key(request))) is not None:
        await outcomes.publish(Topic.MODEL_DELETION, CloudEvent.model_validate_json(asked))


async def _register_again(store: Store, outcomes: Outcomes, key: str) -> None:
    if (manifest := await store.get(key)) is not None:
        await outcomes.publish(Topic.DATASETS, Manifest.model_validate_json(manifest).event)


def _is_manifest(key: str) -> bool:
    return key.startswith("datasets/") and key.endswith("/manifest.json")


async def _all(items: list[str], do: Callable[[str], Awaitable[T]]) -> list[T | None]:
    """What `do` makes of each; None where the store's record of it cannot be read."""

    async def careful(item: str) -> T | None:
        try:
            return await do(item)
        except (StoreDamaged, ValueError, LookupError, TypeError) as damage:
            # One damaged object must not keep the house from starting. What still comes from the log says more.
            log.error("store_damaged", of=item, error=f"{type(damage).__name__}: {damage}"[:300])
            return None

    done: list[T | None] = []
    for start in range(0, len(items), _AT_A_TIME):
        done += await asyncio.gather(*(careful(item) for item in items[start : start + _AT_A_TIME]))
    return done
