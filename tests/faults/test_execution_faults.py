"""Whoever is killed, nothing of a job is left running, and the next job runs."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from execution_handlers import FOLDER, children_of, everything, first_word, gone, is_alive, outcome, task_for, until

from infra.execution.local import LocalExecutor


@pytest.fixture
async def executor():
    executor = LocalExecutor(preload=("execution_handlers",), path=[FOLDER])
    await executor.start()
    yield executor
    await executor.stop()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_a_killed_job_is_a_crash_and_the_next_one_runs(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "hang"))
    os.kill(await first_word(run), signal.SIGKILL)
    final = (await everything(run))[-1]
    assert (final.tag, final.exit_code, final.out_of_memory) == ("crashed", -9, False)
    assert (await outcome(executor, task_for(tmp_path, "finish"))).tag == "finished"


async def test_a_killed_guard_takes_its_job_along(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "hang"))
    job = await first_word(run)
    os.kill(parent_of(job), signal.SIGKILL)
    final = (await everything(run))[-1]
    await gone(job)
    assert (final.tag, final.exit_code) == ("crashed", -9)
    assert (await outcome(executor, task_for(tmp_path, "finish"))).tag == "finished"


async def test_a_killed_guard_leaves_no_daemon_of_its_job(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "leave_grandchild", text="hang"))
    daemon = await first_word(run)
    assert parent_of(daemon) != executor.warm_pid
    os.kill(parent_of(daemon), signal.SIGKILL)
    assert (await everything(run))[-1].tag == "crashed"
    await gone(daemon)


@pytest.mark.parametrize("who", ["guard", "job"])
async def test_a_process_killed_while_it_waits_for_a_task_is_replaced(executor, tmp_path, who):
    await outcome(executor, task_for(tmp_path, "finish"))
    await until(lambda: len(children_of(executor.warm_pid)) == 1 and children_of(children_of(executor.warm_pid)[0]))
    guard = children_of(executor.warm_pid)[0]
    job = children_of(guard)[0]
    os.kill(guard if who == "guard" else job, signal.SIGKILL)
    assert (await outcome(executor, task_for(tmp_path, "finish"))).tag == "finished"
    await asyncio.gather(gone(job), gone(guard))


async def test_a_killed_warm_server_leaves_its_jobs_alone_and_is_replaced(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "hang_politely"))
    job = await first_word(run)
    server = executor.warm_pid
    os.kill(server, signal.SIGKILL)
    for _ in range(2):  # the first one may find a process that was forked before
        assert (await outcome(executor, task_for(tmp_path, "finish"))).tag == "finished"
    assert executor.warm_pid != server
    run.stop_softly()
    assert (await everything(run))[-1].summary == "stopped softly"
    assert not is_alive(job)


async def test_a_job_of_a_killed_warm_server_can_be_killed(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "leave_grandchild", text="hang"))
    daemon = await first_word(run)
    os.kill(executor.warm_pid, signal.SIGKILL)
    await run.kill()
    assert not is_alive(daemon)
    assert (await everything(run))[-1].tag == "killed"


async def test_guard_and_warm_server_killed_together_still_end_the_run(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "hang"))
    job = await first_word(run)
    os.kill(executor.warm_pid, signal.SIGKILL)
    os.kill(parent_of(job), signal.SIGKILL)
    assert (await everything(run))[-1].tag == "crashed"
    await gone(job)


async def test_a_stopped_guard_is_killed_and_its_job_with_it(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "hang"))
    job = await first_word(run)
    os.kill(parent_of(job), signal.SIGSTOP)
    await run.kill()
    await gone(job)
    assert (await everything(run))[-1].tag == "killed"


async def test_a_daemon_does_not_outlive_the_job_that_finished(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "leave_grandchild"))
    daemon = await first_word(run)
    assert (await everything(run))[-1].summary == "left a daemon behind"
    assert not is_alive(daemon)


AGENT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from execution_handlers import FOLDER, first_word, task_for, until
from infra.execution.local import LocalExecutor

async def main():
    executor = LocalExecutor(preload=("execution_handlers",), path=[FOLDER])
    await executor.start()
    run = await executor.submit(task_for(Path(sys.argv[2]), "leave_grandchild", text="hang"))
    print(await first_word(run), executor.warm_pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_agent_leaves_nothing_running(tmp_path):
    agent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", AGENT, str(FOLDER), str(tmp_path)], stdout=subprocess.PIPE
    )
    with agent:
        daemon, server = map(int, agent.stdout.readline().split())
        guard = parent_of(daemon)
        jobs = children_of(guard)
        assert len(jobs) == 2  # the job and the daemon it left to the guard
        spare = [pid for pid in children_of(server) if pid != guard]
        agent.kill()
    async with asyncio.timeout(5):
        await asyncio.gather(*map(gone, [*jobs, guard, server, *spare]))
