"""Stopping a job from outside: one consumer group decides each request, as any other end is decided.

    jobs/<job_id>/cancellation.json   the first request to stop the job; it outlives a job that nobody knows yet

The intent is written before the job is looked for, and a worker that takes a job looks for the intent after it has
taken it. So one of the two always finds the other, and a job that is cancelled before it is known never starts.
"""

from datetime import UTC, datetime

import structlog

from events.envelope import CloudEvent, headers_of
from events.errors import InvalidEvent
from events.identifiers import derived_id
from events.outcomes import CancellationRefused, JobCancelled, JobStatus, Reached
from events.requests import CancellationRequested
from events.vocabulary import EVENT_OF_MODEL, Identified, identify, validate

from . import arbiter, claims
from .arbiter import Outcome
from .damage import of_a_job, readable
from .delivery import Delivery
from .faults import bury
from .job import event_about
from .ports import Lease, Outcomes, Store
from .shield import shielded

log = structlog.get_logger(__name__)


class Cancellation:
    """Carries out requests to stop a job, one delivery at a time."""

    def __init__(self, store: Store, outcomes: Outcomes) -> None:
        self._store = store
        self._outcomes = outcomes

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        """One delivery. Its end: cancelled, refused, kept for a job that may come, or a dead letter."""
        try:
            asked = delivery.identify()
            validate(asked)
        except InvalidEvent as refusal:
            return await bury(self._outcomes, delivery, refusal, lease)
        outcome = await arbitrate(self._store, asked)
        if outcome is None:
            log.info("cancellation_kept", job_id=asked.key)
            return None
        await lease.held()
        if _is_of(outcome, asked):
            await shielded(arbiter.tell(self._store, self._outcomes, outcome, epoch=delivery.epoch))
            log.info("job_cancelled", job_id=asked.key, attempt=outcome.attempt)
        else:
            refused = _refused(asked, outcome.status)
            await shielded(self._outcomes.publish(refused.topic, refused.event))
            log.info("cancellation_refused", job_id=asked.key, status=outcome.status.value)
        return None


async def arbitrate(store: Store, asked: Identified) -> Outcome | None:
    """Ends the job as cancelled unless it has an end. Returns the end that counts, None where nobody knows the job."""
    ended = await arbiter.find(store, asked.key)
    if ended is not None:
        return ended
    await store.create(_intent_key(asked.key), asked.event.model_dump_json(exclude_none=True).encode())
    request = await claims.claimed(store, asked.key)
    if request is None:
        return None
    return await arbiter.decide(store, cancelled(request, asked, await claims.latest_attempt(store, asked.key)))


async def intent(store: Store, job_id: str) -> Identified | None:
    """The first request to stop this job, if there was one."""
    found = await store.get(_intent_key(job_id))
    if found is None:
        return None
    return readable(_intent_key(job_id), found, _as_intent, of_a_job(job_id))


def _as_intent(raw: bytes) -> Identified:
    event = CloudEvent.model_validate_json(raw)
    return identify(EVENT_OF_MODEL[CancellationRequested].topic, None, event.to_bytes(), headers_of(event))


def cancelled(
    request: Identified,
    asked: Identified,
    attempt: int,
    started_at: datetime | None = None,
    reached: Reached | None = None,
) -> Outcome:
    """The job's end as cancelled. Whoever proposes it for the same request to stop proposes the same event."""
    assert request.type.kind is not None, "only requests of a kind become jobs"
    fact = JobCancelled(
        job_id=request.key,
        kind=request.type.kind.value,
        attempt=attempt,
        request=request.event.data,
        started_at=started_at,
        completed_at=datetime.now(UTC),
        requested_by=validate(asked).requested_by,
        reached=reached,
    )
    told = event_about(request, fact, _event_id(asked))
    return Outcome(job_id=request.key, status=JobStatus.CANCELLED, attempt=attempt, events=[told])


def _refused(asked: Identified, status: JobStatus) -> arbiter.RecordedEvent:
    fact = CancellationRefused(job_id=asked.key, status=status, requested_by=validate(asked).requested_by)
    return event_about(asked, fact, derived_id(*asked.event.identity, "refused"))


def _is_of(outcome: Outcome, asked: Identified) -> bool:
    return any(recorded.event.id == _event_id(asked) for recorded in outcome.events)


def _event_id(asked: Identified) -> str:
    return derived_id(*asked.event.identity, "cancelled")


def _intent_key(job_id: str) -> str:
    return f"jobs/{job_id}/cancellation.json"
