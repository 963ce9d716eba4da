"""A job whose house is about to stop: it ends as cancelled, or the next house in this place would go on with it."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.settings import Settings


async def withdraw(settings: "Settings", job_id: str, requested_by: str) -> None:
    """Ends the job in the store, unless it has an end or was never begun. The agent that finds this tells of it.

    Only for a job of a house of one's own.

    Raises:
        StoreError: the store cannot be written to.
    """
    from events.envelope import CloudEvent
    from events.outcomes import JobCancelled, JobStatus
    from events.topics import JobKind
    from events.vocabulary import EVENT_OF_MODEL
    from infra.jobs.arbiter import Outcome, RecordedEvent, decide
    from infra.jobs.job import SOURCE
    from infra.storage.store import ObjectStore

    store = ObjectStore.open(settings.artifacts)
    claim = await store.get(f"jobs/{job_id}/request.json")
    if claim is None:
        return
    # A house that is made for one job starts it once.
    attempt = int(await store.get(f"jobs/{job_id}/attempts/1/claim.json") is not None)
    fact = JobCancelled(
        job_id=job_id,
        kind=JobKind.AUTOML.value,
        attempt=attempt,
        request=json.loads(claim)["event"]["data"],
        started_at=None,
        completed_at=datetime.now(UTC),
        requested_by=requested_by,
    )
    known = EVENT_OF_MODEL[JobCancelled]
    event = CloudEvent(source=SOURCE, type=known.type, subject=job_id, data=fact.model_dump(mode="json"))
    told = [RecordedEvent(topic=known.topic, event=event)]
    await decide(store, Outcome(job_id=job_id, status=JobStatus.CANCELLED, attempt=attempt, events=told))
