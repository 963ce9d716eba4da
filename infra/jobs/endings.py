"""How an attempt ended: its last message made into facts, and its files put where they stay."""

from typing import Any

from events.errors import ReasonCode
from events.outcomes import Failure, Reached
from events.topics import LARGE_EVENT_BYTES
from infra.execution.messages import Crashed, Failed, Finished, Killed

from . import products
from .arbiter import Outcome
from .job import Job
from .ports import Store
from .work import Work
from .workplace import Workplace

#: What the outcome topics take, less room for headers.
_LARGEST_EVENT = LARGE_EVENT_BYTES - 10_000


async def attempts_of(store: Store, folder: str) -> list[str]:
    """The folders that attempts have put into `folder` of the store, whatever became of them."""
    keys = await store.list(folder)
    return sorted({"/".join(key.split("/")[:3]) for key in keys if key.split("/")[2].startswith("attempt-")})


async def committed(job: Job, work: Work, finished: Finished, place: Workplace, store: Store) -> Outcome:
    """Stages out what was made and proposes completion. The files count only once the outcome names them."""
    folder = f"{job.folder}/attempt-{job.attempt}"
    if finished.explanation is not None:
        files = await store.upload(place.out / "explanation", folder)
        job.lap("commit")
        return job.completed(finished.summary, products.explanation(job, work, finished, folder, files))
    if finished.model is None:
        return job.completed(finished.summary, None)
    files = await store.upload(place.out / "model", folder)
    job.lap("commit")
    return job.completed(finished.summary, products.model(job, work, finished, folder, files))


def tellable(job: Job, proposal: Outcome) -> Outcome:
    """The proposal, or a failure in its place where an event of it is larger than the broker takes.

    Found out before it counts: an end that cannot be told would leave the job running for ever.
    """
    largest = max((len(recorded.event.to_bytes()) for recorded in proposal.events), default=0)
    if largest <= _LARGEST_EVENT:
        return proposal
    return job.failed(
        Failure.of(
            ReasonCode.EVENT_TOO_LARGE,
            f"the result's event has {largest:,} bytes, the limit is {_LARGEST_EVENT:,}: "
            "name fewer columns, or ask for a lower quality",
        )
    )


def why(last: Any, reached: Reached | None, *, timed_out_after: float | None) -> Failure:
    """The failure that the last message of an attempt stands for, or its timeout in seconds, if that was reached."""
    if timed_out_after is not None:
        so_far = f" (it was at {reached.percent:.0f} %: {reached.message})" if reached else ""
        return Failure.of(
            ReasonCode.TIMED_OUT,
            f"the job did not end within timeout_s = {timed_out_after:g} s{so_far}: allow more, or ask for less",
        )
    match last:
        case Failed(reason=reason, message=message):
            return Failure(reason=reason, message=message)
        case Crashed(out_of_memory=True):
            return Failure.of(
                ReasonCode.OUT_OF_MEMORY,
                "the job used more memory than it may: raise resources.memory_gb, or use fewer columns or rows",
            )
        case Crashed(exit_code=code):
            return Failure.of(
                ReasonCode.CRASHED,
                f"the job's process died without a word ({_death(code)}): "
                "the worker's log tells more; publish it again under a new job_id",
            )
        case Killed():
            return Failure.of(ReasonCode.CRASHED, "the job's process was killed on its worker")
        case _:
            raise TypeError(f"{type(last).__name__} is no end of a run")


def _death(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
