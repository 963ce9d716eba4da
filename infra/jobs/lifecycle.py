"""The life of a job, from the delivery of its request to the publication of its end.

Read `handle` from top to bottom: claim, start, run, commit, tell. Everything else is a room it asks for one
thing. When `handle` returns, the delivery may be acknowledged; when it raises or the worker dies, it will come
again, and every step finds out what was done before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from events.errors import InvalidEvent, OmniScopeError, ReasonCode
from events.outcomes import Failure
from events.requests import JobRequested
from events.topics import JobKind
from events.vocabulary import validate
from handlers.contract import Inputs, Limits
from handlers.registry import HandlerSpec
from infra.execution.executor import Executor, ExecutorError, Run
from infra.execution.messages import FINAL, CheckpointSaved, Finished, Progressed, Task

from . import arbiter, claims, endings
from .arbiter import Outcome, RecordedEvent
from .catalogue import Catalogue
from .claims import Ownership
from .deadline import Deadline
from .delivery import Delivery
from .job import Job
from .ports import DatasetCache, Lease, Outcomes, Store, StoreError
from .progress import ProgressTeller
from .retries import patiently
from .shield import shielded
from .slots import Slots
from .workplace import Workplace

log = structlog.get_logger(__name__)

#: What may go wrong for no fault of the job: the delivery is kept and tried again.
INFRASTRUCTURE = (OSError, StoreError, ExecutorError)


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker has: the rooms that the life of a job asks, and the few settings that it goes by."""

    worker: str
    store: Store
    executor: Executor
    outcomes: Outcomes
    catalogue: Catalogue
    cache: DatasetCache
    slots: Slots
    handlers: Mapping[JobKind, HandlerSpec]
    work_dir: Path
    max_attempts: int = 3
    dataset_wait_s: float = 60.0
    cpus: int = 1


class Lifecycle:
    """Carries jobs through their life, any number at a time."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        """One delivery. Its end: a published outcome, a dead letter, or nothing to say."""
        try:
            request = delivery.identify()
        except InvalidEvent as refusal:
            return await self._bury(delivery, refusal, lease)
        match await claims.own(self._store, request, delivery):
            case Ownership.OURS:
                return await self._live(Job(request, delivery), lease)
            case Ownership.REPEATED:
                return await self._repeat(request.key, lease)
            case Ownership.CONTRADICTED:
                return await self._bury(delivery, _reused(request.key), lease)

    async def _live(self, job: Job, lease: Lease) -> None:
        outcome = await arbiter.find(self._store, job.id)
        job.lap("own")
        if outcome is None:
            outcome = await arbiter.decide(self._store, await self._carry_out(job, lease))
            await self._clear_up(job, outcome)
        await lease.held()
        await shielded(arbiter.tell(self._store, self._tools.outcomes, outcome))
        log.info("job_ended", job_id=job.id, status=outcome.status.value, attempt=outcome.attempt)

    async def _carry_out(self, job: Job, lease: Lease) -> Outcome:
        """Does what was asked and proposes how it ended."""
        try:
            request: JobRequested = validate(job.request)
            handler = self._handler(job.kind)
            dataset = await self._dataset(job, request, lease)
            async with self._tools.slots.one(light=handler.light):
                # Much may have happened while it waited: another worker may have ended it.
                await lease.held()
                if (ended := await arbiter.find(self._store, job.id)) is not None:
                    return ended
                job.lap("wait")
                return await self._attempt(job, request, handler, dataset, lease)
        except OmniScopeError as refusal:
            return job.failed(Failure.of(refusal.reason, refusal.message))
        except INFRASTRUCTURE:
            raise
        except Exception as bug:  # a fault of this program must not keep the job in limbo for ever
            log.exception("internal_error", job_id=job.id)
            return job.failed(Failure.of(ReasonCode.INTERNAL_ERROR, _internal(bug)))

    async def _attempt(
        self, job: Job, request: JobRequested, handler: HandlerSpec, dataset: Any, lease: Lease
    ) -> Outcome:
        """Starts the job once. If it is cancelled on purpose, the attempt does not count."""
        tools = self._tools
        job.attempt = await claims.start_attempt(self._store, job.id, tools.worker, tools.max_attempts)
        job.lap("claim")
        log.info("job_started", job_id=job.id, kind=job.kind.value, attempt=job.attempt)
        try:
            await self._publish(job.started(tools.worker), lease)
            async with Workplace(tools.work_dir, self._store, tools.cache, job.id, job.attempt) as place:
                inputs = Inputs(dataset=await place.dataset(dataset) if dataset else None, limits=self._limits(request))
                job.lap("stage")
                last, timed_out = await self._run(job, request, handler, inputs, place, lease)
                if timed_out or not isinstance(last, Finished):
                    return job.failed(endings.why(last, timed_out=timed_out, seconds=request.timeout_s))
                job.lap("run")
                return await endings.committed(job, request, dataset, last, place, self._store)
        except OmniScopeError:
            raise
        except BaseException:
            # Cancelled, or the disk, the store or the warm server failed: no fault of the job, so no attempt.
            await shielded(claims.release_attempt(self._store, job.id, job.attempt, tools.worker))
            raise

    async def _run(
        self, job: Job, request: JobRequested, handler: HandlerSpec, inputs: Inputs, place: Workplace, lease: Lease
    ) -> tuple[Any, bool]:
        """Runs the handler in a process of its own; its last message, and whether its time was up."""
        task = Task(
            task_id=f"{job.id}/{job.attempt}",
            entry=handler.entry,
            request_model=f"{type(request).__module__}:{type(request).__qualname__}",
            request=request.model_dump(mode="json"),
            inputs=inputs,
            out_dir=place.out,
            keep_dir=place.keep,
            seed=request.seed,
            preload=handler.preload,
        )
        run: Run = await patiently(
            lambda: self._tools.executor.submit(task), f"start {task.task_id}", only=ExecutorError
        )
        job.lap("fork")
        teller = ProgressTeller(job.id, job.kind, job.attempt, lambda word: self._publish(job.event(word), lease))
        try:
            async with Deadline(run, request.timeout_s) as deadline, teller:
                teller.update(0.0, "Started")
                async for message in run.messages():
                    match message:
                        case Progressed(percent=percent, message=text, eta_s=eta_s, metrics=metrics):
                            teller.update(percent, text, eta_s, metrics)
                        case CheckpointSaved():
                            await place.save_checkpoint()
                        case _ if isinstance(message, FINAL):
                            return message, deadline.passed
            raise ExecutorError(f"the run of {task.task_id} ended without a final message")
        finally:
            await shielded(run.kill())

    async def _repeat(self, job_id: str, lease: Lease) -> None:
        """Somebody asked again in the same words: told the end if there is one, else that job's own events do."""
        if (outcome := await arbiter.find(self._store, job_id)) is not None:
            await lease.held()
            await shielded(arbiter.tell(self._store, self._tools.outcomes, outcome, again=True))

    async def _dataset(self, job: Job, request: JobRequested, lease: Lease) -> Any:
        """The dataset that the request names, waited for without a slot; None where it names none."""
        dataset_id = getattr(request, "dataset_id", None)
        if dataset_id is None:
            return None
        until = job.delivery.timestamp_ms / 1000 + self._tools.dataset_wait_s
        waiting = job.waiting(f"Waiting for dataset {dataset_id}")
        return await self._tools.catalogue.wait_for(dataset_id, until, lambda: self._publish(waiting, lease))

    def _handler(self, kind: JobKind) -> HandlerSpec:
        handler = self._tools.handlers.get(kind)
        if handler is None:
            raise OmniScopeError(ReasonCode.KIND_UNAVAILABLE, f"this version has no handler for {kind.value} jobs yet")
        return handler

    def _limits(self, request: JobRequested) -> Limits:
        asked = request.resources
        return Limits(
            cpus=asked.cpus or self._tools.cpus,
            gpus=asked.gpus or 0,
            memory_gb=asked.memory_gb,
            seconds=request.timeout_s,
        )

    async def _clear_up(self, job: Job, outcome: Outcome) -> None:
        """Removes what belongs to no outcome: the checkpoints, and the files of attempts that did not win."""
        await self._store.delete_all(f"jobs/{job.id}/checkpoints")
        kept = outcome.artifacts
        for number in range(1, max(job.attempt, outcome.attempt) + 1):
            if (folder := endings.model_folder(job.model_id, number)) != kept:
                await self._store.delete_all(folder)

    async def _publish(self, recorded: RecordedEvent, lease: Lease) -> None:
        await lease.held()
        await shielded(self._tools.outcomes.publish(recorded.topic, recorded.event))

    async def _bury(self, delivery: Delivery, why: OmniScopeError, lease: Lease) -> None:
        await lease.held()
        await shielded(self._tools.outcomes.bury(delivery.as_dead_letter(why)))
        log.warning("dead_letter", **delivery.place, reason=why.reason.value, message=why.message)


def _reused(job_id: str) -> OmniScopeError:
    return OmniScopeError(
        ReasonCode.JOB_ID_REUSED, f"job_id {job_id} belongs to a request with other content: choose a new job_id"
    )


def _internal(bug: Exception) -> str:
    return f"{type(bug).__name__} inside OmniScope ML: the worker's log has the trace, please report it"
