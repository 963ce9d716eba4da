"""A guard that sleeps while its job comes to its end tells of it all the same: the job does not run again."""

import asyncio
import os
import signal
from pathlib import Path

from execution_handlers import FOLDER, children_of, everything, is_alive, outcome, task_for, until

from infra.execution.local import LocalExecutor


async def test_a_job_that_ends_before_its_guard_is_awake_runs_once(tmp_path: Path) -> None:
    executor = LocalExecutor(preload=("execution_handlers",), path=[FOLDER])
    await executor.start()
    try:
        assert (await outcome(executor, task_for(tmp_path / "first", "finish"))).tag == "finished"
        await until(lambda: len(children_of(executor.warm_pid)) == 1 and children_of(children_of(executor.warm_pid)[0]))
        (guard,) = children_of(executor.warm_pid)
        (job,) = children_of(guard)
        os.kill(guard, signal.SIGSTOP)
        task = task_for(tmp_path / "second", "finish")
        running = asyncio.create_task(executor.submit(task))
        await until(lambda: not is_alive(job))
        os.kill(guard, signal.SIGCONT)
        started, *_, last = await everything(await running)
        assert (started.pid, last.tag) == (job, "finished")
    finally:
        await executor.stop()
