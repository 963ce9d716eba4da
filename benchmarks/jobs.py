"""What a job costs beside its work: overhead of a job of one second, jobs per second, publish → started, memory.

python -m benchmarks.jobs [--pairs 30] [--jobs 300]
"""

import argparse
import asyncio
import os
import statistics
import time
from datetime import datetime

import psutil

from events.requests import NoopRequested

from .arena import Arena, arena

WORK_S = 1.0


async def overhead(stage: Arena, pairs: int) -> None:
    """A job of one second beside the same second in a warm process, in turn."""
    rows = []
    for number in range(pairs):
        begun = time.perf_counter()
        time.sleep(WORK_S)  # what the handler does; nothing else runs meanwhile  # noqa: ASYNC251
        bare = time.perf_counter() - begun

        job = f"overhead-{number}"
        published = time.time()
        await stage.publisher.request(NoopRequested(job_id=job, duration_s=WORK_S))
        acknowledged = time.time()
        await stage.ended(job)
        heard = stage.at("ml.job.completed", job)
        done = stage.event("ml.job.completed", job).data
        phases = done["seconds"]
        on_worker = sum(phases.values())
        rows.append(
            {
                "whole job": heard - published,
                "bare work": bare,
                "publish": acknowledged - published,
                **{phase: seconds - (WORK_S if phase == "run" else 0.0) for phase, seconds in phases.items()},
                "deliver, decide, tell, hear": heard - acknowledged - on_worker,
            }
        )
    print(f"\nA job of {WORK_S:g} s, {pairs} pairs, medians in ms")
    for name in rows[0]:
        print(f"  {name:28}{statistics.median(row[name] for row in rows) * 1000:10.1f}")
    print("  (run: beside the work itself)")
    over = statistics.median(row["whole job"] - row["bare work"] for row in rows)
    print(f"  overhead, whole job − bare   {over * 1000:10.1f}   (goal: ≤ 300)")


async def rate(stage: Arena, jobs: int) -> None:
    """Isolated jobs that do nothing, as many at a time as the worker takes."""
    requests = [NoopRequested(job_id=f"rate-{number}") for number in range(jobs)]
    published = time.time()
    await stage.publisher.request_many(requests)
    await stage.ended(*(f"rate-{number}" for number in range(jobs)))
    last = max(stage.at("ml.job.completed", f"rate-{number}") for number in range(jobs))
    cores = len(os.sched_getaffinity(0))
    print(
        f"\n{jobs} no-op jobs, each in a process of its own: {jobs / (last - published):.0f} jobs/s on {cores} cores, "
    )
    print(f"  {jobs / (last - published) / cores:.0f} jobs/s per core")


async def latency(stage: Arena, jobs: int) -> None:
    """One job at a time: from the call of the publisher to the worker's own word that it has begun."""
    waits = []
    for number in range(jobs):
        job = f"latency-{number}"
        published = time.time()
        await stage.publisher.request(NoopRequested(job_id=job))
        await stage.ended(job)
        waits.append(_seconds(stage.event("ml.job.started", job).data["started_at"]) - published)
    cuts = statistics.quantiles(waits, n=100)
    print(f"\nPublish → started, {jobs} jobs one at a time, ms: p50 {cuts[49] * 1000:.1f}, p99 {cuts[98] * 1000:.1f}")
    print("  (goal: p99 ≤ 50)")


def memory(stage: Arena) -> None:
    """Unique and proportional memory of the worker's processes."""
    worker = psutil.Process(stage.worker)
    print("\nMemory, MB             unique  proportional")
    for process in [worker, *worker.children(recursive=True)]:
        used = process.memory_full_info()
        name = "agent (event loop)" if process is worker else " ".join(process.cmdline()[1:4])[:40]
        print(f"  {name:42}{used.uss / 1e6:8.0f}{used.pss / 1e6:8.0f}")
    print("  (goal: the agent's event loop ≤ 80)")


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


async def main(pairs: int, jobs: int) -> None:
    async with arena("noop", slots=2) as stage:
        await stage.publisher.request(NoopRequested(job_id="warm-up"))
        await stage.ended("warm-up")
        await overhead(stage, pairs)
        await latency(stage, min(jobs, 200))
        await rate(stage, jobs)
        memory(stage)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=300)
    told = parser.parse_args()
    asyncio.run(main(told.pairs, told.jobs))
