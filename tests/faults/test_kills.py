"""kill -9 in the middle: of the job's process, of the agent, and between deciding an end and telling it."""

import asyncio
import json
import signal
from pathlib import Path

import psutil
import pytest
from support.broker import Broker
from support.dying_agent import EXIT_CODE
from support.services import running_services
from support.up import running_up

from events.envelope import CloudEvent

pytestmark = pytest.mark.timeout(180)


def processes_of_jobs(agent_pid: int, work_dir: Path) -> list[psutil.Process]:
    """The processes below the agent that work in a job's folder."""
    found = []
    for process in psutil.Process(agent_pid).children(recursive=True):
        try:
            if process.cwd().startswith(str(work_dir)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def is_at_work(event: CloudEvent, job: str) -> bool:
    """Whether the job's own process says so: the agent speaks for it before it is there."""
    return (event.name, event.subject) == ("ml.job.progressed", job) and event.data["message"].startswith("Step ")


async def test_a_killed_job_fails_with_a_reason_and_the_next_one_runs(tmp_path: Path, both_brokers: Broker) -> None:
    async with running_services(tmp_path, "agent noop", "projector", "api", broker=both_brokers) as services:
        house = services.house
        await house.ask("ml.noop.requested", "victim", duration_s=600, steps=3000)
        await house.first(lambda event: is_at_work(event, "victim"))
        (job,) = processes_of_jobs(services.processes["agent noop"].pid, services.settings.work_dir)
        job.kill()
        end = await house.ended("victim")
        assert end.name == "ml.job.failed"
        assert end.data["error"]["reason"] == "crashed"
        assert "signal 9" in end.data["error"]["message"]
        await house.ask("ml.noop.requested", "next")
        assert (await house.ended("next")).name == "ml.job.completed"
        status = await services.get("/api/ml/jobs/victim/status", lambda job: job["status"] == "failed")
        assert status["error"]["reason"] == "crashed"


async def test_a_job_whose_agent_is_killed_starts_again_and_ends_once(tmp_path: Path, both_brokers: Broker) -> None:
    async with running_services(tmp_path, "projector", "api", broker=both_brokers) as services:
        agent = await services.start("agent", "agent", "noop")
        house = services.house
        await house.ask("ml.noop.requested", "survivor", duration_s=8, steps=80)
        await house.first(lambda event: is_at_work(event, "survivor"))
        job_processes = processes_of_jobs(agent.pid, services.settings.work_dir)
        assert job_processes
        await services.stop("agent", signal.SIGKILL)
        await asyncio.gather(*(asyncio.to_thread(psutil.wait_procs, [p], 10) for p in job_processes))
        assert not any(p.is_running() for p in job_processes), "the job outlived its agent"

        await services.start("agent", "agent", "noop")
        end = await house.ended("survivor")
        assert (end.name, end.data["attempt"]) == ("ml.job.completed", 2)
        status = await services.get("/api/ml/jobs/survivor/status", lambda job: job["status"] == "completed")
        assert status["attempt"] == 2
        assert [e.id for e in house.events if e.name == "ml.job.completed"] == [end.id]
        starts = [e.data["attempt"] for e in house.events if e.name == "ml.job.started"]
        assert starts == [1, 2]


async def test_dying_between_deciding_and_telling_the_recorded_events_are_told(
    tmp_path: Path, both_brokers: Broker
) -> None:
    async with running_services(tmp_path, "projector", "api", broker=both_brokers) as services:
        agent = await services.start("agent", "agent", "noop", module="support.dying_agent")
        await services.house.ask("ml.noop.requested", "told-late")
        assert await agent.wait() == EXIT_CODE
        services.processes.pop("agent")
        outcome = services.settings.data_dir / "artifacts" / "jobs" / "told-late" / "outcome.json"
        recorded = json.loads(outcome.read_text())["events"]
        assert not any(e.name == "ml.job.completed" for e in services.house.events)

        await services.start("agent", "agent", "noop")
        end = await services.house.ended("told-late")
        assert [end] == [CloudEvent.model_validate(one["event"]) for one in recorded]
        starts = [e for e in services.house.events if e.name == "ml.job.started"]
        assert len(starts) == 1, "it ran twice"


async def test_ctrl_c_during_a_job_leaves_nothing_running(tmp_path: Path) -> None:
    async with running_up(tmp_path, "--with-noop") as up:
        await up.command("submit", "noop", "--job-id", "interrupted", "--duration", "600")
        await up.get("/api/ml/jobs/interrupted/status", lambda job: job["status"] == "running")
        everything = [up.process, *psutil.Process(up.process.pid).children(recursive=True)]
        pids = [p.pid for p in everything]
        up.process.send_signal(signal.SIGINT)
        assert await up.process.wait() == 0
    left = [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert left == [], [psutil.Process(pid).cmdline() for pid in left]


async def test_what_an_interrupted_house_was_doing_is_done_by_the_next_one(tmp_path: Path) -> None:
    async with running_up(tmp_path, "--with-noop") as first:
        await first.command("submit", "noop", "--job-id", "carried-over", "--duration", "8")
        await first.get("/api/ml/jobs/carried-over/status", lambda job: job["status"] == "running")
    async with running_up(tmp_path, "--with-noop") as second:
        done = await second.get("/api/ml/jobs/carried-over/status", lambda job: job["status"] == "completed")
        assert done["attempt"] == 2
