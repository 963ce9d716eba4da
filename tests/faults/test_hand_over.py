"""Workers that come and go on Apache Kafka: on purpose, killed and back at once, frozen past their session."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from support.services import Services, running_services

from infra.storage.store import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def start_worker(services: Services, name: str, **environment: str) -> None:
    await services.start(name, "agent", "noop", WORKER_SLOTS="8", DRAIN_S="0", **environment)


async def start_jobs(services: Services, *job_ids: str, seconds: float = 600) -> dict[str, str]:
    """Publishes the jobs and waits until each has started; job → worker."""
    for job_id in job_ids:
        await services.house.ask("ml.noop.requested", job_id, duration_s=seconds)
    started = [await services.house.heard("ml.job.started", job_id) for job_id in job_ids]
    return {str(event.subject): event.data["worker"] for event in started}


async def started_again(services: Services, job_id: str) -> dict[str, Any]:
    return (await services.house.first(lambda e: _is_start(e, job_id, 2))).data


def _is_start(event: Any, job_id: str, attempt: int) -> bool:
    return event.name == "ml.job.started" and event.subject == job_id and event.data["attempt"] == attempt


def starts(services: Services, job_id: str) -> list[int]:
    return [e.data["attempt"] for e in services.house.events if e.name == "ml.job.started" and e.subject == job_id]


def worker_of(services: Services, name: str) -> str:
    return f":{services.processes[name].pid}"


async def released(services: Services, job_id: str) -> list[str]:
    store = ObjectStore.open(services.settings.artifacts)
    return [key for key in await store.list(f"jobs/{job_id}/attempts") if key.endswith("released.json")]


async def test_what_a_stopping_worker_gives_back_starts_at_once_elsewhere_and_does_not_count(tmp_path: Path) -> None:
    async with running_services(tmp_path, broker="apache", session_s=60) as services:
        await start_worker(services, "a")
        jobs = await start_jobs(services, *(f"job-{n}" for n in range(4)))
        await start_worker(services, "b")  # takes a partition, and the jobs that run on it
        assert await services.stop("a") == 0
        # Long before the session of 60 s is over:
        for job_id in jobs:
            again = await services.house.first(
                lambda e, job_id=job_id: (
                    e.name == "ml.job.started"
                    and e.subject == job_id
                    and e.data["worker"].endswith(worker_of(services, "b"))
                )
            )
            # Every start on the first worker was given back, and none of them counts.
            assert len(await released(services, job_id)) == again.data["attempt"] - 1


async def test_a_named_worker_that_is_killed_and_started_again_finds_its_jobs_where_they_were(tmp_path: Path) -> None:
    async with running_services(tmp_path, broker="apache", session_s=60) as services:
        await start_worker(services, "a", WORKER_ID="a")
        await start_worker(services, "b", WORKER_ID="b")
        jobs = await start_jobs(services, *(f"job-{n}" for n in range(12)))
        killed = worker_of(services, "a")
        lost = {job for job, worker in jobs.items() if worker.endswith(killed)}
        assert lost, "the killed worker ran nothing"
        assert lost != set(jobs), "the other worker ran nothing"
        await services.stop("a", signal.SIGKILL)
        await start_worker(services, "a", WORKER_ID="a")
        for job_id in lost:
            again = await started_again(services, job_id)
            assert again["worker"].endswith(worker_of(services, "a"))
            assert await released(services, job_id) == []
        for job_id in set(jobs) - lost:
            assert starts(services, job_id) == [1], "a job of the other worker was moved"


async def test_a_second_worker_of_the_same_name_ends_the_first_and_runs_nothing_twice(tmp_path: Path) -> None:
    async with running_services(tmp_path, broker="apache", session_s=10) as services:
        await start_worker(services, "a", WORKER_ID="same")
        await start_jobs(services, "job-0", "job-1", "job-2", "job-3")
        first = services.processes["a"]
        await start_worker(services, "b", WORKER_ID="same")
        assert await first.wait() == 1
        assert "another worker has the name" in (tmp_path / "a.log").read_text()
        for job_id in ("job-0", "job-1", "job-2", "job-3"):
            again = await services.house.first(
                lambda e, job_id=job_id: (
                    e.name == "ml.job.started"
                    and e.subject == job_id
                    and e.data["worker"].endswith(worker_of(services, "b"))
                )
            )
            assert len(await released(services, job_id)) >= again.data["attempt"] - 1, "it counts against the job"


async def test_what_is_cancelled_while_its_worker_drains_ends_at_once(tmp_path: Path) -> None:
    async with running_services(tmp_path, broker="apache") as services:
        await services.start("a", "agent", "noop", WORKER_SLOTS="8", DRAIN_S="600")
        await start_jobs(services, "job-0", seconds=500)
        worker = services.processes["a"]
        worker.send_signal(signal.SIGTERM)
        await services.house.ask("ml.cancellation.requested", "job-0")
        assert (await services.house.ended("job-0")).name == "ml.job.cancelled"
        assert await worker.wait() == 0, "it waited for the job to end by itself"


async def test_a_named_worker_that_stops_on_purpose_gives_its_partitions_back(tmp_path: Path) -> None:
    async with running_services(tmp_path, broker="apache", session_s=60) as services:
        await start_worker(services, "a", WORKER_ID="a")
        await start_jobs(services, "job-0", "job-1", "job-2")
        await start_worker(services, "b", WORKER_ID="b")
        await services.stop("a")
        for job_id in ("job-0", "job-1", "job-2"):
            await services.house.first(
                lambda e, job_id=job_id: (
                    e.name == "ml.job.started"
                    and e.subject == job_id
                    and e.data["worker"].endswith(worker_of(services, "b"))
                )
            )


async def test_a_frozen_worker_comes_back_and_overwrites_nothing(tmp_path: Path) -> None:
    async with running_services(tmp_path, broker="apache") as services:  # a session of 6 s
        await start_worker(services, "a")
        await start_worker(services, "b")
        jobs = await start_jobs(services, *(f"job-{n}" for n in range(8)), seconds=3)
        frozen = worker_of(services, "a")
        lost = {job for job, worker in jobs.items() if worker.endswith(frozen)}
        assert lost, "the frozen worker ran nothing"
        services.processes["a"].send_signal(signal.SIGSTOP)
        for job_id in lost:  # taken over by the other one when the session is over
            again = await started_again(services, job_id)
            assert again["worker"].endswith(worker_of(services, "b"))
        services.processes["a"].send_signal(signal.SIGCONT)
        for job_id in jobs:
            assert (await services.house.ended(job_id)).name == "ml.job.completed"
        more: dict[str, str] = {}
        while not any(worker.endswith(frozen) for worker in more.values()):  # until it has joined again
            more |= await start_jobs(services, f"more-{len(more)}", seconds=0)
        for job_id in more:
            await services.house.ended(job_id)
        ends = {(e.subject, e.id) for e in services.house.events if e.name == "ml.job.completed"}
        assert len(ends) == len(jobs) + len(more), "a job has two ends"
        # What counts is what was decided; whether by the old owner, who may get its partition back, or by the new one.
        store, told = ObjectStore.open(services.settings.artifacts), dict(ends)
        for job_id in lost:
            outcome = json.loads(await store.get(f"jobs/{job_id}/outcome.json") or b"")
            assert outcome["events"][-1]["event"]["id"] == told[job_id]
