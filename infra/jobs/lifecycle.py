"""The life of a job, from the delivery of its request to the publication of its end.

Read `handle` from top to bottom: own, wait, start, decide, tell; what one start does stands in `attempts`. Everything
else is a room it asks for one thing. When `handle` returns, the delivery may be acknowledged; when it raises or the
worker dies, it will come again, and every step finds out what was done before.
"""

import asyncio
from typing import Any

import structlog

from events.errors import InvalidEvent, OmniScopeError, ReasonCode
from events.outcomes import DatasetRegistered, Failure, JobStatus
from events.requests import JobRequested
from events.topics import JobKind
from events.vocabulary import Identified, validate
from handlers.registry import HandlerSpec

from . import arbiter, cancellation, claims, endings, explained, known_models, remembering, uses
from .arbiter import Outcome
from .attempts import Attempts
from .claims import Ownership
from .damage import StoreDamaged
from .delivery import Delivery
from .faults import INFRASTRUCTURE, bury, internal_error
from .job import Job
from .loans import Loans, loans_of
from .ports import Lease
from .running import Stopped
from .shield import shielded
from .space import WAITING_FOR_SPACE, DiskSpace
from .tools import Tools
from .work import Work

log = structlog.get_logger(__name__)


class Lifecycle:
    """Carries jobs through their life, any number at a time."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store
        self._space = DiskSpace(tools.work_dir, tools.min_free_gb)
        self._attempts = Attempts(tools, self._space)

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        """One delivery. Its end: a published outcome, a dead letter, or nothing to say."""
        try:
            request = delivery.identify()
        except InvalidEvent as refusal:
            return await bury(self._tools.outcomes, delivery, refusal, lease)
        job = Job(request, delivery, lease)
        try:
            return await self._owned(job)
        except StoreDamaged as damage:
            # It can neither run nor end; whoever looks at it shall read why, and the request waits for its return.
            attempt = await claims.latest_attempt(self._store, job.id)
            await self._attempts.publish(job, job.put_aside(damage.message, attempt))
            return await bury(self._tools.outcomes, delivery, damage, lease)

    async def _owned(self, job: Job) -> None:
        request, delivery = job.request, job.delivery
        match await claims.own(self._store, request, delivery):
            case Ownership.OURS:
                return await self._live(job)
            case Ownership.REPEATED:
                return await self._repeat(job)
            case Ownership.CONTRADICTED:
                return await bury(self._tools.outcomes, delivery, _reused(job.id), job.lease)

    async def _live(self, job: Job) -> None:
        outcome = await arbiter.find(self._store, job.id)
        asked = None if outcome else await cancellation.intent(self._store, job.id)
        job.lap("own")
        proposal = outcome or (await self._stopped(job, asked) if asked else await self._carry_out(job))
        with self._tools.slots.busy():
            outcome = outcome or await self._decide(job, proposal)
            await self._tell(job, outcome)
            await self._clear_up(job, outcome)
        log.info("job_ended", job_id=job.id, status=outcome.status.value, attempt=outcome.attempt)

    async def _decide(self, job: Job, proposal: Outcome) -> Outcome:
        """The end that counts. Whoever was frozen decides nothing before it knows whose job it is."""
        try:
            await job.lease.held()
            return await arbiter.decide(self._store, endings.tellable(job, proposal))
        except asyncio.CancelledError:
            await self._attempts.give_back(job)
            raise

    async def _carry_out(self, job: Job) -> Outcome:
        """Does what was asked and proposes how it ended."""
        try:
            async with self._tools.running.in_hand(job.id):
                return await self._wait_and_attempt(job)
        except Stopped as stopped:
            return await self._stopped(job, stopped.why)
        except OmniScopeError as refusal:
            return job.failed(Failure.of(refusal.reason, refusal.message))
        except INFRASTRUCTURE:
            raise
        except Exception as bug:  # a fault of this program must not keep the job in limbo for ever
            log.exception("internal_error", job_id=job.id)
            told = internal_error(bug)
            return job.failed(Failure.of(told.reason, told.message))

    async def _wait_and_attempt(self, job: Job) -> Outcome:
        request: JobRequested = validate(job.request)
        handler = self._handler(job.kind)
        request, loans = await loans_of(request, self._store)
        job.borrowed = loans.model_ids
        await uses.borrow(self._store, job.borrowed, job.request)
        if (known := await explained.recall(self._store, request, loans)) is not None:
            return job.completed(f"{known.summary} (as explained before)", known.as_of(job.id))
        dataset = await self._dataset(job, request, loans)
        work = Work(request, handler, dataset, await self._recorded(request), loans)
        while True:
            await self._space.wait(lambda: self._attempts.publish(job, job.waiting(WAITING_FOR_SPACE)))
            async with self._tools.slots.one(light=handler.light):
                # Much may have happened while it waited: another worker may have ended it, the disk may be full.
                await job.lease.held()
                if (ended := await arbiter.find(self._store, job.id)) is not None:
                    return ended
                if self._space.is_short():
                    continue
                job.lap("wait")
                return await self._attempts.once(job, work)

    async def _stopped(self, job: Job, why: Identified | Outcome) -> Outcome:
        """The end of a job that somebody asked to stop, or that has one from elsewhere."""
        if isinstance(why, Outcome):
            return why
        attempt = job.attempt or await claims.latest_attempt(self._store, job.id)
        return cancellation.cancelled(job.request, why, attempt, job.started_at, job.reached)

    async def _repeat(self, job: Job) -> None:
        """Somebody asked again in the same words: told the end if there is one, else that job's own events do."""
        if (outcome := await arbiter.find(self._store, job.id)) is not None:
            await self._tell(job, outcome, again=True)

    async def _tell(self, job: Job, outcome: Outcome, *, again: bool = False) -> None:
        await remembering.remember(self._store, outcome)
        await job.lease.held()
        epoch = job.delivery.epoch
        await shielded(arbiter.tell(self._store, self._tools.outcomes, outcome, epoch=epoch, again=again))

    async def _clear_up(self, job: Job, outcome: Outcome) -> None:
        """Removes what belongs to no outcome: checkpoints, files of attempts that did not win, models given back."""
        await self._store.delete_all(f"jobs/{job.id}/checkpoints")
        for folder in await endings.attempts_of(self._store, job.folder):
            if folder != outcome.artifacts:
                await self._store.delete_all(folder)
        if not (job.kind is JobKind.ENSEMBLE and outcome.status is JobStatus.COMPLETED):
            await uses.give_back(self._store, job.borrowed, job.id)

    async def _dataset(self, job: Job, request: JobRequested, loans: Loans) -> DatasetRegistered | None:
        """The dataset that the request names, waited for without a slot, or that its models have learned from.

        None where there is none.
        """
        dataset_id = getattr(request, "dataset_id", None)
        if dataset_id is None:
            return await self._tools.catalogue.behind(loans.models[0][1]) if loans.models else None
        left_s = max(0.0, self._tools.dataset_wait_s - job.delivery.age_s)
        waiting = job.waiting(f"Waiting for dataset {dataset_id}")
        return await self._tools.catalogue.wait_for(dataset_id, left_s, lambda: self._attempts.publish(job, waiting))

    async def _recorded(self, request: JobRequested) -> dict[str, Any] | None:
        """What is known of the model that is to be made again, where one is."""
        model_id = getattr(request, "rerun_of", None)
        return None if model_id is None else await known_models.recall(self._store, model_id)

    def _handler(self, kind: JobKind) -> HandlerSpec:
        handler = self._tools.handlers.get(kind)
        if handler is None:
            raise OmniScopeError(ReasonCode.KIND_UNAVAILABLE, f"this version has no handler for {kind.value} jobs yet")
        return handler


def _reused(job_id: str) -> OmniScopeError:
    return OmniScopeError(
        ReasonCode.JOB_ID_REUSED, f"job_id {job_id} belongs to a request with other content: choose a new job_id"
    )
