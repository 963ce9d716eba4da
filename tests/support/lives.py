"""The life of a job with small fakes around it, and deliveries that begin one."""

import time
from typing import Any

from events.envelope import CloudEvent, full_type, headers_of
from events.identifiers import new_id
from events.topics import JobKind, Topic
from handlers.registry import HandlerSpec
from infra.jobs.catalogue import Catalogue
from infra.jobs.delivery import Delivery
from infra.jobs.lifecycle import Lifecycle
from infra.jobs.slots import Slots
from infra.jobs.tools import Tools

from .fakes import HeldLease, MemoryStore, RecordedOutcomes, SameFile, ScriptedExecutor, WeightsOnDisk

_KINDS = (JobKind.NOOP, JobKind.AUTOML, JobKind.TRANSFER_LEARNING, JobKind.ENSEMBLE, JobKind.EXPLANATION)


def noop(job_id: str = "job-1", offset: int = 0, **data: Any) -> Delivery:
    """A request that needs nothing."""
    return _delivery("ml.noop.requested", Topic.NOOP, job_id, offset, data)


def automl(job_id: str = "job-2", offset: int = 1, **data: Any) -> Delivery:
    """A request for a model of the dataset `d`."""
    told = {"dataset_id": "d", "target_column": "outcome", **data}
    return _delivery("ml.automl.requested", Topic.AUTOML, job_id, offset, told)


def transfer(job_id: str = "job-3", offset: int = 2, **data: Any) -> Delivery:
    """A request to build on `base_model`, on the dataset `d`."""
    told = {"dataset_id": "d", "target_column": "outcome", **data}
    return _delivery("ml.transfer-learning.requested", Topic.TRANSFER_LEARNING, job_id, offset, told)


def ensemble(job_id: str = "job-4", offset: int = 3, **data: Any) -> Delivery:
    """A request to combine `model_ids`."""
    return _delivery("ml.ensemble.requested", Topic.ENSEMBLE, job_id, offset, {"method": "voting", **data})


def explanation(job_id: str = "job-5", offset: int = 4, **data: Any) -> Delivery:
    """A request to explain `model_id`."""
    return _delivery("ml.explanation.requested", Topic.EXPLANATION, job_id, offset, {"method": "shap", **data})


def cancellation(subject: str, offset: int = 0, event_id: str | None = None, **data: Any) -> Delivery:
    """A request to stop the job `subject`."""
    return _delivery("ml.cancellation.requested", Topic.CANCELLATION, subject, offset, data, event_id)


def _delivery(
    name: str, topic: Topic, job_id: str, offset: int, data: dict[str, Any], event_id: str | None = None
) -> Delivery:
    event = CloudEvent(id=event_id or new_id(), source="test", type=full_type(name), subject=job_id, data=data)
    return Delivery(
        epoch="e1",
        topic=topic,
        partition=0,
        offset=offset,
        timestamp_ms=int(time.time() * 1000),
        key=job_id.encode(),
        value=event.to_bytes(),
        headers=tuple(headers_of(event)),
    )


class House:
    """A lifecycle with its fakes within reach."""

    def __init__(self, tmp_path: Any, *scripts: list[Any]) -> None:
        self.store = MemoryStore()
        self.executor = ScriptedExecutor(*scripts)
        self.outcomes = RecordedOutcomes()
        self.lease = HeldLease()
        self.tools = Tools(
            worker="w1",
            store=self.store,
            executor=self.executor,
            outcomes=self.outcomes,
            catalogue=Catalogue(self.store),
            cache=SameFile(tmp_path),
            weights=WeightsOnDisk(tmp_path),
            slots=Slots(1),
            handlers=dict.fromkeys(_KINDS, HandlerSpec("m:f")),
            work_dir=tmp_path / "work",
            dataset_wait_s=0.0,
        )

    async def said(self, message: str) -> None:
        """Returns when a word with this message was published."""
        await self.outcomes.heard(lambda event: event.data.get("message") == message)

    async def handle(self, delivery: Delivery) -> None:
        await Lifecycle(self.tools).handle(delivery, self.lease)
