"""What becomes of the users of a model that is to go: ensembles that are made of it, and jobs at work with it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from events.errors import ReasonCode
from events.identifiers import derived_id, model_id_of
from events.outcomes import Failure, JobFailed, JobStatus
from events.topics import JobKind
from events.vocabulary import Identified, validate

from . import arbiter, claims, known_models, tombstones
from .arbiter import Outcome
from .job import event_about
from .ports import Store
from .uses import users_of


@dataclass(frozen=True, slots=True)
class Made:
    """A finished ensemble, by the job that made it."""

    model_id: str
    job_id: str


async def ensembles_of(store: Store, model_id: str) -> list[Made]:
    """The finished ensembles that say they are made of this model.

    What is deleted for good is left out. What is only about to be deleted may stay after all, and counts.

    Raises:
        StoreDamaged: it cannot be told of one of them.
    """
    made = [Made(model_id_of(job_id), job_id) for job_id in await users_of(store, model_id)]
    return [one for one in made if await _is_there(store, one)]


async def all_made_of(store: Store, model_id: str) -> list[Made]:
    """The finished ensembles of this model, and those of them in turn: each after all that are made of it."""
    found: list[Made] = []
    seen: set[str] = set()

    async def visit(part: str) -> None:
        for one in await ensembles_of(store, part):
            if one.model_id not in seen:
                seen.add(one.model_id)
                await visit(one.model_id)
                found.append(one)

    await visit(model_id)
    return found


async def at_work(store: Store, model_id: str) -> list[Identified]:
    """The requests of the jobs that use the model and have no end: ensembles first."""
    found: list[Identified] = []
    for job_id in await users_of(store, model_id):
        if await arbiter.find(store, job_id) is None and (request := await claims.claimed(store, job_id)) is not None:
            found.append(request)
    return sorted(found, key=lambda request: not is_ensemble(request))


def is_ensemble(request: Identified) -> bool:
    return request.type.kind is JobKind.ENSEMBLE


async def end(store: Store, request: Identified, model_id: str, asked: Identified) -> Outcome:
    """Ends a job as failed because the model goes, unless it has an end. Returns the end that counts."""
    assert request.type.kind is not None, "only requests of a kind become jobs"
    by = validate(asked).requested_by
    fact = JobFailed(
        job_id=request.key,
        kind=request.type.kind.value,
        attempt=await claims.latest_attempt(store, request.key),
        request=request.event.data,
        started_at=None,
        completed_at=datetime.now(UTC),
        error=Failure.of(
            ReasonCode.MODEL_DELETED,
            f"model {model_id}, which this job works with, was to be deleted, as {by} asked: "
            "ask again with another one",
        ),
    )
    told = event_about(request, fact, _event_id(asked, request.key))
    proposal = Outcome(job_id=request.key, status=JobStatus.FAILED, attempt=fact.attempt, events=[told])
    return await arbiter.decide(store, proposal)


def is_by(asked: Identified, outcome: Outcome) -> bool:
    """Whether the job was ended because of this request."""
    return any(recorded.event.id == _event_id(asked, outcome.job_id) for recorded in outcome.events)


def _event_id(asked: Identified, job_id: str) -> str:
    return derived_id(*asked.event.identity, job_id, "model_deleted")


async def _is_there(store: Store, one: Made) -> bool:
    """Whether the job was an ensemble's, has made it, and nobody has deleted it since."""
    outcome = await arbiter.find(store, one.job_id)
    if outcome is None:
        # Who has removed the damaged record of a job has not removed what it made.
        made = await known_models.type_of(store, one.model_id) == JobKind.ENSEMBLE
    else:
        is_ensemble = any(recorded.event.data.get("kind") == JobKind.ENSEMBLE for recorded in outcome.events)
        made = is_ensemble and outcome.status is JobStatus.COMPLETED and outcome.artifacts is not None
    return made and await tombstones.ended_as(store, one.model_id) is None
