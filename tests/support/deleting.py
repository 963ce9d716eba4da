"""Models in a store as jobs have left them there, and jobs that make ensembles of them, without a worker."""

import asyncio
import hashlib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from events.envelope import CloudEvent, full_type, headers_of
from events.errors import OmniScopeError
from events.identifiers import model_id_of, new_id
from events.outcomes import Failure, ModelCompleted
from events.topics import JobKind
from events.vocabulary import EVENTS
from infra.jobs import arbiter, claims, known_models, uses
from infra.jobs.arbiter import Outcome
from infra.jobs.delivery import Delivery
from infra.jobs.job import Job
from infra.jobs.ports import Outcomes, Store
from infra.settings import Settings
from infra.storage.store import ObjectStore

from .fakes import HeldLease, MemoryStore, RecordedOutcomes
from .histories import model as model_facts

MODEL = b"a model"


def delivered(name: str, subject: str, data: dict[str, Any], event_id: str | None = None, offset: int = 0) -> Delivery:
    """A request as the broker hands it over."""
    known = EVENTS[full_type(name)]
    event = CloudEvent(id=event_id or new_id(), source="test", type=known.type, subject=subject, data=data)
    headers = tuple(headers_of(event))
    return Delivery("e1", known.topic, 0, offset, 0, subject.encode(), event.to_bytes(), headers)


def deletion(model_id: str, *, event_id: str | None = None, **data: Any) -> Delivery:
    """A request to remove a model."""
    return delivered("ml.model-deletion.requested", model_id, data, event_id)


def request_of(job_id: str, kind: JobKind, *model_ids: str) -> Delivery:
    """A request for something that works with models."""
    match kind:
        case JobKind.ENSEMBLE:
            return delivered("ml.ensemble.requested", job_id, {"model_ids": list(model_ids), "method": "voting"})
        case JobKind.EXPLANATION:
            return delivered("ml.explanation.requested", job_id, {"model_id": model_ids[0], "method": "shap"})
        case _:
            return delivered("ml.automl.requested", job_id, {"dataset_id": "d", "target_column": "y"})


async def claimed(store: Store, delivery: Delivery) -> Job:
    """A job that a worker has just taken and started."""
    job = Job(delivery.identify(), delivery, HeldLease())
    await claims.own(store, job.request, delivery)
    job.attempt = await claims.start_attempt(store, job.id, "w", job.token, 3)
    return job


async def completed(store: Store, job: Job, about: Mapping[str, Any] = {}) -> Outcome:
    """The job makes its model. The end that counts: another one may have been faster."""
    folder = f"models/{job.model_id}/attempt-{job.attempt}"
    await store.put(f"{folder}/MLmodel", MODEL)
    files = {"MLmodel": hashlib.sha256(MODEL).hexdigest()}
    facts = model_facts(
        job.model_id, job.id, model_type=job.kind.value, artifacts_path=folder, **{"files": files, **about}
    )
    return await arbiter.decide(store, job.completed("Done", ModelCompleted.model_validate(facts)))


async def finished(
    store: Store,
    outcomes: Outcomes,
    job_id: str,
    kind: JobKind = JobKind.AUTOML,
    *model_ids: str,
    about: Mapping[str, Any] = {},
) -> str:
    """A model that was made, of others where it is an ensemble; its id. `about`: what is told of it beside."""
    job = await claimed(store, request_of(job_id, kind, *model_ids))
    await uses.borrow(store, model_ids, job.request)
    outcome = await completed(store, job, about)
    await known_models.remember(store, outcome)
    await arbiter.tell(store, outcomes, outcome, epoch="e1")
    return job.model_id


async def at_work(store: Store, job_id: str, kind: JobKind, *model_ids: str) -> Job:
    """A job that works with models and has no end."""
    job = await claimed(store, request_of(job_id, kind, *model_ids))
    await uses.borrow(store, model_ids, job.request)
    return job


async def lived(store: Store, outcomes: Outcomes, job_id: str, kind: JobKind, *model_ids: str) -> Outcome:
    """A whole life as a worker lives it, for a job that works with models."""
    job = await claimed(store, request_of(job_id, kind, *model_ids))
    try:
        for model_id in model_ids:
            await known_models.recall(store, model_id)
        await uses.borrow(store, model_ids, job.request)
        await asyncio.sleep(0)
        if kind is JobKind.ENSEMBLE:
            outcome = await completed(store, job)
        else:
            outcome = await arbiter.decide(store, job.completed("Explained", None))
    except OmniScopeError as refusal:
        outcome = await arbiter.decide(store, job.failed(Failure.of(refusal.reason, refusal.message)))
    await known_models.remember(store, outcome)
    await arbiter.tell(store, outcomes, outcome, epoch="e1")
    if outcome.artifacts is None:
        await store.delete_all(f"models/{model_id_of(job_id)}/attempt-1")
        await uses.give_back(store, model_ids, job_id)
    return outcome


class Died(BaseException):
    """The process was killed: nothing that it could do about it runs."""


class Hesitant(MemoryStore):
    """A store that lets others go first, by dice; one whose `deaths` are used up kills who asks."""

    def __init__(self, objects: dict[str, bytes], dice: random.Random | None = None, die_at: int | None = None) -> None:
        super().__init__()
        self.objects = objects
        self._dice = dice
        self.left = die_at

    async def _pause(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Died
        for _ in range(self._dice.choice((0, 0, 1, 1, 2, 5, 15)) if self._dice else 0):
            await asyncio.sleep(0)

    async def create(self, key: str, data: bytes) -> bool:
        await self._pause()
        return await super().create(key, data)

    async def put(self, key: str, data: bytes) -> None:
        await self._pause()
        await super().put(key, data)

    async def get(self, key: str) -> bytes | None:
        await self._pause()
        return await super().get(key)

    async def list(self, prefix: str) -> list[str]:
        await self._pause()
        return await super().list(prefix)

    async def delete(self, key: str) -> None:
        await self._pause()
        await super().delete(key)

    async def delete_all(self, prefix: str) -> int:
        await self._pause()
        return await super().delete_all(prefix)


class Mortal(RecordedOutcomes):
    """Outcomes into the lists of another, by a process that may die before or after it has published."""

    def __init__(self, others: RecordedOutcomes, store: Hesitant) -> None:
        super().__init__()
        self.events, self.letters, self._store = others.events, others.letters, store

    async def publish(self, topic: str, event: Any) -> None:
        await self._store._pause()
        await super().publish(topic, event)
        await self._store._pause()

    async def bury(self, letter: Any) -> None:
        await self._store._pause()
        await super().bury(letter)
        await self._store._pause()


def left_of(store: MemoryStore, model_id: str) -> list[str]:
    """What is below a model's folder, by first part."""
    return sorted({Path(key).parts[2] for key in store.objects if key.startswith(f"models/{model_id}/")})


async def left_in(settings: Settings, model_id: str) -> list[str]:
    """The same of a real store."""
    keys = await ObjectStore.open(settings.artifacts).list(f"models/{model_id}")
    return sorted({Path(key).parts[2] for key in keys})
