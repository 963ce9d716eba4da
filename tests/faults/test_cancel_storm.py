"""Storms of cancellations on Apache Kafka: whatever races whatever, every job has one end and leaves no process."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from support.house import ENDS, House
from support.services import Services, running_services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

JOBS = 100


async def start(services: Services) -> psutil.Process:
    worker = await services.start("agent", "agent", "noop", WORKER_SLOTS="4")
    return psutil.Process(worker.pid)


def ends_of(house: House) -> dict[str, set[tuple[str, str]]]:
    """Job → (name, id) of the ends that were told."""
    found: dict[str, set[tuple[str, str]]] = {}
    for event in house.events:
        if event.name in ENDS:
            found.setdefault(str(event.subject), set()).add((event.name, event.id))
    return found


async def answered(house: House, job_id: str) -> None:
    """Every request to stop is answered: by the job's end as cancelled, or by a refusal."""
    await house.first(lambda e: e.subject == job_id and e.name in ("ml.job.cancelled", "ml.job.cancellation-refused"))


async def check(services: Services, worker: psutil.Process, jobs: list[str]) -> dict[str, int]:
    """One end each, every request answered by that end, nothing left over; ends by name."""
    house = services.house
    for job_id in jobs:
        await house.ended(job_id)
        await answered(house, job_id)
    ends = ends_of(house)
    assert {job: names for job, names in ends.items() if len(names) != 1} == {}, "a job has two ends"
    refused = {e.subject: e.data["status"] for e in house.events if e.name == "ml.job.cancellation-refused"}
    for job_id in jobs:
        ((name, _),) = ends[job_id]
        assert refused.get(job_id) == (None if name == "ml.job.cancelled" else name.removeprefix("ml.job.")), job_id
    work = str(services.settings.work_dir)
    left = [process for process in worker.children(recursive=True) if _works_in(process, work)]
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 10)
    assert alive == [], "a job's process outlived its job"
    # Whoever decides may tell the end before the worker has cleared up: the test's time limit is how long we wait.
    while list(services.settings.work_dir.glob("*/job-*")):  # noqa: ASYNC110 - nothing tells that a folder is gone
        await asyncio.sleep(0.1)
    names = [name for ((name, _),) in (ends[job] for job in jobs)]
    return {name: names.count(name) for name in set(names)}


def _works_in(process: psutil.Process, folder: str) -> bool:
    try:
        return process.cwd().startswith(folder)
    except psutil.Error:  # it is gone, or a zombie
        return False


async def storm(tmp_path: Path, one: Callable[[House, str], Awaitable[None]]) -> None:
    """Lets all jobs go through `one` at the same time."""
    async with running_services(tmp_path, broker="apache") as services:
        worker = await start(services)
        jobs = [f"job-{n}" for n in range(JOBS)]
        await asyncio.gather(*(one(services.house, job_id) for job_id in jobs))
        ends = await check(services, worker, jobs)
        # Some were quick enough, some were not: else this was no storm.
        assert set(ends) == {"ml.job.completed", "ml.job.cancelled"}
        assert sum(ends.values()) == JOBS


async def test_jobs_cancelled_at_random_moments_end_once(tmp_path: Path) -> None:
    dice = random.Random(5)

    async def one(house: House, job_id: str) -> None:
        await asyncio.sleep(dice.uniform(0, 4))
        behaviour = dice.choice(["finish", "spawn"])  # the second leaves a process behind
        told = {"duration_s": dice.uniform(0, 2), "steps": 5, "behaviour": behaviour}
        await house.ask("ml.noop.requested", job_id, **told)
        await asyncio.sleep(dice.uniform(0, 3))
        await house.ask("ml.cancellation.requested", job_id)

    await storm(tmp_path, one)


async def test_cancellations_that_race_completions_end_the_job_once(tmp_path: Path) -> None:
    dice = random.Random(6)

    async def one(house: House, job_id: str) -> None:
        await house.ask("ml.noop.requested", job_id, duration_s=dice.uniform(0, 0.2))
        await house.heard("ml.job.started", job_id)
        await asyncio.sleep(dice.uniform(0, 0.6))
        await house.ask("ml.cancellation.requested", job_id)

    await storm(tmp_path, one)
