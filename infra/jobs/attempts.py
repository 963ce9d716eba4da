"""One start of a job: claimed, staged, run, committed. Given up for no fault of the job, it is given back."""

from typing import Any

import structlog

from events.errors import OmniScopeError, ReasonCode
from events.outcomes import JobProgressed
from handlers.contract import Inputs, Limits
from infra.execution.executor import ExecutorError, Run
from infra.execution.messages import FINAL, CheckpointSaved, Failed, Finished, Progressed

from . import arbiter, claims, endings
from .arbiter import Outcome, RecordedEvent
from .borrowing import borrowed_model, borrowed_weights
from .deadline import Deadline
from .job import Job
from .progress import ProgressTeller
from .retries import patiently
from .shield import shielded
from .space import WAITING_FOR_SPACE, DiskSpace, NoSpace
from .tools import Tools
from .work import Work
from .workplace import Workplace

log = structlog.get_logger(__name__)

NO_SPACE = "no_space"
#: Starts that a job may lose to a full disk before it is itself taken for the reason.
MOST_FOR_SPACE = 10


class Attempts:
    """Starts jobs, and says what happens on the way."""

    def __init__(self, tools: Tools, space: DiskSpace) -> None:
        self._tools = tools
        self._store = tools.store
        self._space = space

    async def once(self, job: Job, work: Work) -> Outcome:
        """Starts the job once. If it is given up for no fault of the job, the attempt does not count."""
        tools = self._tools
        try:
            job.attempt = await shielded(
                claims.start_attempt(self._store, job.id, tools.worker, job.token, tools.max_attempts)
            )
            job.lap("claim")
            # It may have waited for the attempt before, and that one may have come to its end.
            if job.attempt > 1 and (ended := await arbiter.find(self._store, job.id)) is not None:
                await self.give_back(job)
                return ended
            log.info("job_started", job_id=job.id, kind=job.kind.value, attempt=job.attempt)
            await self.publish(job, job.started(tools.worker))
            async with ProgressTeller(job.id, job.kind, job.attempt, lambda word: self._say(job, word)) as teller:
                try:
                    async with Workplace(tools.work_dir, self._store, tools.cache, job.id, job.attempt) as place:
                        return await self._work(job, work, place, teller)
                except NoSpace:
                    # What it had written is gone by now. It is given back, says so, and waits.
                    await self._give_back_for_space(job)
                    teller.update(0.0, WAITING_FOR_SPACE)
                    await self._space.recover()
                    raise
        except claims.AttemptsUsedUp as lost:
            job.attempt = lost.number
            raise
        except OmniScopeError:
            raise
        except BaseException:
            # Cancelled, or the disk, the store or the warm server failed.
            await self.give_back(job)
            raise

    async def give_back(self, job: Job) -> None:
        """Nothing of what this start did counts. Does nothing where it has not been claimed."""
        await shielded(claims.release_attempt(self._store, job.id, job.token))

    async def _give_back_for_space(self, job: Job) -> None:
        """Not the job's fault, unless it happens every time.

        Raises:
            OmniScopeError: `disk_full`.
        """
        await shielded(claims.release_attempt(self._store, job.id, job.token, NO_SPACE))
        times = await claims.times_given_back(self._store, job.id, NO_SPACE)
        if times >= MOST_FOR_SPACE:
            raise OmniScopeError(
                ReasonCode.DISK_FULL,
                f"the worker's disk ran full {times} times under this job, though there was room when it began: "
                "give DATA_DIR a larger disk, or ask for less (a lower quality, fewer columns)",
            )

    async def _work(self, job: Job, work: Work, place: Workplace, teller: ProgressTeller) -> Outcome:
        """Stage, run, commit."""
        teller.update(0.0, "Preparing")
        dataset = await place.dataset(work.dataset) if work.dataset else None
        borrowed = await self._borrowed(work, place, teller)
        job.lap("stage")
        inputs = Inputs(dataset=dataset, recorded=work.recorded, limits=self._limits(work), **borrowed)
        last, timed_out = await self._run(job, work, inputs, place, teller)
        job.lap("run")
        if isinstance(last, Failed) and last.infrastructure and not timed_out:
            raise NoSpace(f"{job.id}: {last.message}")
        if timed_out or not isinstance(last, Finished):
            log.warning("job_failed", job_id=job.id, attempt=job.attempt, detail=getattr(last, "detail", ""))
            return job.failed(endings.why(last, job.reached, timed_out_after=work.seconds if timed_out else None))
        return await endings.committed(job, work, last, place, self._store)

    async def _borrowed(self, work: Work, place: Workplace, teller: ProgressTeller) -> dict[str, Any]:
        """The inputs that come from elsewhere: `weights`, `models`."""
        asked, weights = work.loans, None
        if asked.weights is not None:
            weights = await borrowed_weights(
                self._tools.weights, asked.weights, place.weights, lambda words: teller.update(0.0, words)
            )
        models = {
            model_id: await borrowed_model(self._store, model_id, facts, place.models)
            for model_id, facts in asked.models
        }
        return {"weights": weights, "models": models}

    async def _run(
        self, job: Job, work: Work, inputs: Inputs, place: Workplace, teller: ProgressTeller
    ) -> tuple[Any, bool]:
        """Runs the handler in a process of its own; its last message, and whether its time was up."""
        task = work.task(f"{job.id}/{job.attempt}", inputs, place)

        async def start() -> Run:
            # Much may have happened since the claim: a long staging, or the worker was frozen and others did the job.
            await job.lease.held()
            return await self._tools.executor.submit(task)

        run = await patiently(start, f"start {task.task_id}", only=ExecutorError)
        job.lap("fork")
        try:
            async with Deadline(run, work.seconds) as deadline:
                teller.update(0.0, "Started")
                async for message in run.messages():
                    match message:
                        case Progressed(percent=percent, message=text, eta_s=eta_s, metrics=metrics):
                            if not deadline.passed:  # how far it came in its time is told, not how it wound up
                                teller.update(percent, text, eta_s, metrics)
                        case CheckpointSaved():
                            await place.save_checkpoint()
                        case _ if isinstance(message, FINAL):
                            return message, deadline.passed
            raise ExecutorError(f"the run of {task.task_id} ended without a final message")
        finally:
            job.reached = teller.reached
            await shielded(run.kill())

    def _limits(self, work: Work) -> Limits:
        asked = work.request.resources
        return Limits(
            cpus=asked.cpus or self._tools.cpus,
            gpus=asked.gpus or 0,
            memory_gb=asked.memory_gb,
            seconds=work.seconds,
        )

    async def publish(self, job: Job, recorded: RecordedEvent) -> None:
        """A word that must arrive: the start, or why it has not come to that."""
        await job.lease.held()
        await shielded(self._tools.outcomes.publish(recorded.topic, recorded.event))

    async def _say(self, job: Job, word: JobProgressed) -> None:
        """A word that may be lost: nobody waits for it."""
        recorded = job.event(word)
        await job.lease.held()
        await self._tools.outcomes.publish(recorded.topic, recorded.event)
