"""The life of an upload: checked, profiled, registered or rejected.

A dataset never changes: its manifest is written once, and the same id with other bytes is rejected.
"""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from events.envelope import CloudEvent
from events.errors import InvalidEvent, OmniScopeError, ReasonCode
from events.identifiers import derived_id
from events.outcomes import DatasetRegistered, DatasetRejected, Failure
from events.requests import DatasetUploaded
from events.topics import Topic
from events.vocabulary import EVENT_OF_MODEL, Identified, validate
from handlers.contract import DatasetFile, Inputs, Limits
from handlers.registry import PROFILE
from infra.execution.executor import Executor, ExecutorError, Run
from infra.execution.messages import FINAL, Failed, Finished, Task

from .catalogue import Catalogue, Manifest
from .deadline import Deadline
from .delivery import Delivery
from .faults import bury
from .job import SOURCE
from .ports import Admitted, DatasetCache, Lease, Outcomes, StoreError
from .retries import patiently
from .shield import shielded
from .slots import Slots
from .staging import staged

log = structlog.get_logger(__name__)

#: Seconds for a look into a file; the largest tables of a cohort take a minute.
LONGEST_LOOK_S = 900.0


class Intake:
    """Registers datasets, one upload event at a time."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        cache: DatasetCache,
        executor: Executor,
        outcomes: Outcomes,
        slots: Slots,
        work_dir: Path,
    ) -> None:
        self._catalogue = catalogue
        self._cache = cache
        self._executor = executor
        self._outcomes = outcomes
        self._slots = slots
        self._work_dir = work_dir

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        """One delivery. Its end: registered, rejected, or a dead letter."""
        try:
            upload = delivery.identify()
        except InvalidEvent as refusal:
            return await bury(self._outcomes, delivery, refusal, lease)
        try:
            event = await self._register(upload)
        except OmniScopeError as refusal:
            event = _rejected(upload, refusal)
        await lease.held()
        await shielded(self._outcomes.publish(Topic.DATASETS, event))
        log.info("dataset_read", dataset_id=upload.key, outcome=event.name)
        return None

    async def _register(self, upload: Identified) -> CloudEvent:
        request: DatasetUploaded = validate(upload)
        admitted = await patiently(lambda: self._cache.admit(request.uri), f"fetch {request.uri}", only=StoreError)
        if request.sha256 is not None and request.sha256.lower() != admitted.sha256:
            raise OmniScopeError(
                ReasonCode.SHA256_MISMATCH,
                f"the file at {request.uri} does not have the sha256 that the upload names: "
                "the transfer broke, or the wrong file was named",
            )
        known = await self._catalogue.find(request.dataset_id)
        if known is None:
            async with self._slots.one(light=True):
                profile = await self._profile(request, admitted)
            dataset = self._described(request, admitted, profile)
            known = await self._catalogue.add(Manifest(dataset=dataset, event=_event(upload, dataset, "registered")))
        if known.dataset.sha256 != admitted.sha256:
            raise OmniScopeError(
                ReasonCode.DATASET_ID_REUSED,
                f"dataset {request.dataset_id} is registered with other bytes, and a dataset does not change: "
                "upload the new file under a new dataset_id",
            )
        return known.event

    async def _profile(self, request: DatasetUploaded, admitted: Admitted) -> dict[str, Any]:
        """What a look into the file tells, taken in a process of its own: the file may be anything."""
        with tempfile.TemporaryDirectory(dir=self._work_dir, prefix="intake-") as folder:
            path = await staged(
                lambda: self._cache.fetch(request.uri, admitted.sha256),
                Path(folder) / "dataset",
                f"fetch {request.uri}",
            )
            file = DatasetFile(
                request.dataset_id,
                path,
                request.format or "",  # the reader knows which names speak of which format
                admitted.sha256,
                request.name or "",
            )
            task = Task(
                task_id=f"profile of {request.dataset_id}",
                entry=PROFILE.entry,
                request_model="events.requests:DatasetUploaded",
                request=request.model_dump(mode="json"),
                inputs=Inputs(dataset=file, limits=Limits(memory_gb=_half_of_memory_gb(), seconds=LONGEST_LOOK_S)),
                out_dir=Path(folder) / "out",
                keep_dir=Path(folder) / "keep",
            )
            return await self._run(task)

    async def _run(self, task: Task) -> dict[str, Any]:
        run = await patiently(lambda: self._executor.submit(task), f"start {task.task_id}", only=ExecutorError)
        try:
            async with Deadline(run, LONGEST_LOOK_S, grace=0):
                message = await _last(run)
                if isinstance(message, Finished):
                    return message.profile or {}
                if isinstance(message, Failed) and message.infrastructure:
                    raise ExecutorError(f"{task.task_id}: {message.message}")
                if message is not None:
                    log.warning("profile_failed", task=task.task_id, detail=getattr(message, "detail", ""))
                    raise _unreadable(message)
        finally:
            await shielded(run.kill())
        raise ExecutorError(f"{task.task_id} ended without a final message")

    def _described(self, request: DatasetUploaded, admitted: Admitted, profile: dict[str, Any]) -> DatasetRegistered:
        return DatasetRegistered(
            **profile,
            dataset_id=request.dataset_id,
            name=request.name or Path(request.uri).name,
            uri=request.uri,
            sha256=admitted.sha256,
            size_bytes=admitted.size,
            registered_at=datetime.now(UTC),
        )


async def _last(run: Run) -> Any:
    async for message in run.messages():
        if isinstance(message, FINAL):
            return message
    return None


def _half_of_memory_gb() -> float:
    """A file that unpacks to more than half of this machine is no dataset for it."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 / 2


def _unreadable(message: Any) -> OmniScopeError:
    if isinstance(message, Failed):
        return OmniScopeError(ReasonCode(message.reason), message.message)
    # A file that breaks the process that reads it cannot be read, whatever the process died of.
    return OmniScopeError(
        ReasonCode.FILE_UNREADABLE,
        "looking into the file took too long, too much memory or the process down: "
        "look whether it is what its format says, or split it",
    )


def _rejected(upload: Identified, why_not: OmniScopeError) -> CloudEvent:
    told = upload.event.data.get("uri")
    uri = told[:4096] if isinstance(told, str) else ""
    failure = Failure.of(why_not.reason, why_not.message)
    return _event(upload, DatasetRejected(dataset_id=upload.key, uri=uri, error=failure), "rejected")


def _event(upload: Identified, fact: DatasetRegistered | DatasetRejected, end: str) -> CloudEvent:
    """The event of an upload's end. Its id follows from the upload's: told twice, it is the same event."""
    return CloudEvent(
        id=derived_id(*upload.event.identity, end),
        source=SOURCE,
        type=EVENT_OF_MODEL[type(fact)].type,
        subject=upload.key,
        data=fact.model_dump(mode="json"),
        **upload.event.extensions,
    )
