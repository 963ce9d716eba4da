"""A worker without the promises: `python -m benchmarks.bare_worker agent noop`, for comparison alone.

A delivery is run in a fresh process and told of, and that is all: nobody owns a job, no attempt is claimed, no end is
arbitrated, nothing can be cancelled or resumed. The rest (broker, slots, executor, producer) is the same.
"""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from events.vocabulary import validate
from handlers.contract import Inputs
from infra.cli.main import main
from infra.execution.messages import Finished
from infra.jobs.delivery import Delivery
from infra.jobs.job import Job
from infra.jobs.ports import Lease
from infra.jobs.tools import Tools
from infra.jobs.work import Work
from infra.jobs.workplace import Workplace
from infra.kafka import worker


class BareLife:
    """In place of `infra.jobs.lifecycle.Lifecycle`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        tools = self._tools
        job = Job(delivery.identify(), delivery, lease, attempt=1, started_at=datetime.now(UTC))
        work = Work(validate(job.request), tools.handlers[job.kind], None)
        async with tools.slots.one(light=work.handler.light):
            started = job.started(tools.worker)
            await tools.outcomes.publish(started.topic, started.event)
            folder = Path(mkdtemp(dir=tools.work_dir))
            run = await tools.executor.submit(
                work.task(job.id, Inputs(), Workplace(folder, tools.store, tools.cache, job.id, 1))
            )
            async for message in run.messages():
                if isinstance(message, Finished):
                    for recorded in job.completed(message.summary, None).events:
                        await tools.outcomes.publish(recorded.topic, recorded.event)


if __name__ == "__main__":
    worker.Lifecycle = BareLife  # type: ignore[misc,assignment]
    main()
