"""The one arbiter of every end: an atomic create-if-absent of `jobs/<job_id>/outcome.json`.

The outcome holds the exact events that tell it, ids and all. Whoever finds it may publish those and nothing
else, so a zombie, a cancel that races a completion or a double delivery cannot produce two ends.
"""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from events.envelope import CloudEvent
from events.outcomes import JobStatus

from .damage import of_a_job, readable
from .ports import Outcomes, Store


class RecordedEvent(BaseModel):
    """An event and the topic it goes to."""

    model_config = ConfigDict(frozen=True)

    topic: str
    event: CloudEvent


class Outcome(BaseModel):
    """How a job ended. `artifacts` are the store's folders that belong to it, None where it made nothing."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    status: JobStatus
    attempt: int
    decided_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    artifacts: str | None = None
    events: list[RecordedEvent]


async def find(store: Store, job_id: str) -> Outcome | None:
    """The job's end, if it has one.

    Raises:
        StoreDamaged: it has, and nobody can tell which.
    """
    recorded = await store.get(_key(job_id))
    if recorded is None:
        return None
    return readable(_key(job_id), recorded, Outcome.model_validate_json, of_a_job(job_id))


async def decide(store: Store, proposal: Outcome) -> Outcome:
    """Ends the job as proposed, unless it has ended already. Returns the end that counts."""
    if await store.create(_key(proposal.job_id), proposal.model_dump_json().encode()):
        return proposal
    first = await find(store, proposal.job_id)
    return first if first is not None else await decide(store, proposal)


async def tell(store: Store, outcomes: Outcomes, outcome: Outcome, *, epoch: str, again: bool = False) -> None:
    """Publishes the recorded events, once in each life of the log; `again` repeats them, for who asked again."""
    marker = f"jobs/{outcome.job_id}/published/{epoch}"
    if not again and await store.get(marker) is not None:
        return
    for recorded in outcome.events:
        await outcomes.publish(recorded.topic, recorded.event)
    await store.create(marker, b"")


def _key(job_id: str) -> str:
    return f"jobs/{job_id}/outcome.json"
