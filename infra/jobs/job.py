"""A request that owns its job id, and the events that can be told of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel

from events.envelope import CloudEvent
from events.explanations import ExplanationCompleted
from events.identifiers import explanation_id_of, model_id_of, new_id
from events.outcomes import (
    Failure,
    JobCompleted,
    JobFailed,
    JobProgressed,
    JobStarted,
    JobStatus,
    ModelCompleted,
    Reached,
)
from events.topics import JobKind
from events.vocabulary import EVENT_OF_MODEL, Identified

from .arbiter import Outcome, RecordedEvent
from .delivery import Delivery
from .ports import Lease

SOURCE = "omniscope-ml"
#: Comes after every other word of its attempt.
LAST_WORD = 2**31 - 2


@dataclass(slots=True)
class Job:
    """One job on this worker. `attempt` is 0 until it has been started here."""

    request: Identified
    delivery: Delivery
    lease: Lease
    attempt: int = 0
    started_at: datetime | None = None
    #: This start's own name: what was claimed with it is ours to give back.
    token: str = field(default_factory=new_id)
    #: The models that it has said it uses.
    borrowed: list[str] = field(default_factory=list)
    #: Its last word on this worker.
    reached: Reached | None = None
    #: Where its time on this worker went, in seconds by phase.
    seconds: dict[str, float] = field(default_factory=dict)
    _lap: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        return self.request.key

    @property
    def kind(self) -> JobKind:
        assert self.request.type.kind is not None, "only requests of a kind become jobs"
        return self.request.type.kind

    @property
    def model_id(self) -> str:
        return model_id_of(self.id)

    @property
    def folder(self) -> str:
        """Where in the store its attempts put what they make, each in a folder of its own below."""
        if self.kind is JobKind.EXPLANATION:
            return f"explanations/{explanation_id_of(self.id)}"
        return f"models/{self.model_id}"

    def lap(self, phase: str) -> None:
        """The time since the last lap went into `phase`."""
        now = time.monotonic()
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + now - self._lap, 6)
        self._lap = now

    def started(self, worker: str) -> RecordedEvent:
        self.started_at = datetime.now(UTC)
        return self.event(JobStarted(**self._facts, worker=worker, started_at=self.started_at))

    def waiting(self, message: str) -> RecordedEvent:
        """A word before the first start."""
        return self.event(JobProgressed(job_id=self.id, kind=self.kind, attempt=0, seq=0, percent=0, message=message))

    def put_aside(self, message: str, attempt: int) -> RecordedEvent:
        """The last word of an attempt that has no end: why the request lies among the dead letters now."""
        told = JobProgressed(
            job_id=self.id, kind=self.kind, attempt=attempt, seq=LAST_WORD, percent=0, message=f"Put aside: {message}"
        )
        return self.event(told)

    def completed(self, summary: str, made: ModelCompleted | ExplanationCompleted | None) -> Outcome:
        done = JobCompleted(
            **self._facts,
            started_at=self.started_at,
            completed_at=datetime.now(UTC),
            model_id=made.model_id if isinstance(made, ModelCompleted) else None,
            explanation_id=made.explanation_id if isinstance(made, ExplanationCompleted) else None,
            summary=summary,
            seconds=self.seconds,
        )
        told: Sequence[BaseModel] = [made, done] if made else [done]
        return self._ended(JobStatus.COMPLETED, told, artifacts=made.artifacts_path if made else None)

    def failed(self, error: Failure) -> Outcome:
        done = JobFailed(
            **self._facts,
            started_at=self.started_at,
            completed_at=datetime.now(UTC),
            error=error,
            reached=self.reached,
        )
        return self._ended(JobStatus.FAILED, [done])

    def event(self, fact: BaseModel) -> RecordedEvent:
        """A fact of this job as an event."""
        return event_about(self.request, fact)

    def _ended(self, status: JobStatus, facts: Sequence[BaseModel], artifacts: str | None = None) -> Outcome:
        return Outcome(
            job_id=self.id,
            status=status,
            attempt=self.attempt,
            artifacts=artifacts,
            events=[self.event(fact) for fact in facts],
        )

    @property
    def _facts(self) -> dict[str, object]:
        return {
            "job_id": self.id,
            "kind": self.kind.value,
            "attempt": self.attempt,
            "request": self.request.event.data,
        }


def event_about(request: Identified, fact: BaseModel, event_id: str | None = None) -> RecordedEvent:
    """A fact as an event: what came with the request (trace, project) goes along.

    `event_id`: for a fact that several may tell, who must tell the same; None: a new one.
    """
    known = EVENT_OF_MODEL[type(fact)]
    return RecordedEvent(
        topic=known.topic,
        event=CloudEvent(
            id=event_id or new_id(),
            source=SOURCE,
            type=known.type,
            subject=str(getattr(fact, known.key)),
            data=fact.model_dump(mode="json"),
            **request.event.extensions,
        ),
    )
