"""What a broker forgot when it lost its log: the requests of jobs that had not ended are published again.

The store still knows them, event and all. A broker that keeps its log brings them back by itself, so this is for
the embedded one, which keeps everything in memory.
"""

import asyncio
import json

import structlog

from events.envelope import CloudEvent

from .ports import Outcomes, Store

log = structlog.get_logger(__name__)

_AT_A_TIME = 50


async def revive(store: Store, outcomes: Outcomes, epoch: str) -> list[str]:
    """Publishes the request of every job that was claimed in another life of the log and has no end that was told.

    Returns their ids. A job that has ended does not run again: its new delivery tells the recorded end.
    Two workers that do this at once do no harm: the second delivery of the same content runs nothing.
    """
    keys = await store.list("jobs")
    ended = {key.split("/")[1] for key in keys if key.split("/")[2] == "published"}
    taken_over = {key.split("/")[1] for key in keys if key.endswith(f"/request.{epoch}.json")}
    waiting = [key for key in keys if key.endswith("/request.json") and key.split("/")[1] not in ended | taken_over]
    revived: list[str] = []
    for start in range(0, len(waiting), _AT_A_TIME):
        batch = waiting[start : start + _AT_A_TIME]
        told = await asyncio.gather(*(_publish_again(store, outcomes, key, epoch) for key in batch))
        revived += [job_id for job_id in told if job_id is not None]
    if revived:
        log.warning("revived_after_lost_log", jobs=len(revived))
    return revived


async def _publish_again(store: Store, outcomes: Outcomes, key: str, epoch: str) -> str | None:
    claim = json.loads(await store.get(key) or b"{}")
    if not claim or claim["delivery"]["epoch"] == epoch:
        return None
    event = CloudEvent.model_validate(claim["event"])
    job_id = key.split("/")[1]
    await outcomes.publish(claim["delivery"]["topic"], event.model_copy(update={"subject": job_id}))
    return job_id
