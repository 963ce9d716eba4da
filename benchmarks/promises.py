"""What the promises cost: the same jobs through the real worker, and through one that only runs and tells.

python -m benchmarks.promises [--rounds 5] [--jobs 200]
"""

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from datetime import datetime

from events.requests import NoopRequested

from .arena import Arena, arena

REAL, BARE = "infra.cli", "benchmarks.bare_worker"


async def rate(stage: Arena, number: int, jobs: int) -> float:
    """Jobs per second of jobs that do nothing."""
    ids = [f"rate-{number}-{job}" for job in range(jobs)]
    published = time.time()
    await stage.publisher.request_many([NoopRequested(job_id=job) for job in ids])
    await stage.ended(*ids)
    return jobs / (max(stage.at("ml.job.completed", job) for job in ids) - published)


async def latency_ms(stage: Arena, number: int, jobs: int) -> list[float]:
    """From the call of the publisher to the worker's own word that it has begun, one job at a time."""
    waits = []
    for job in (f"latency-{number}-{job}" for job in range(jobs)):
        published = time.time()
        await stage.publisher.request(NoopRequested(job_id=job))
        await stage.ended(job)
        started = datetime.fromisoformat(stage.event("ml.job.started", job).data["started_at"])
        waits.append((started.timestamp() - published) * 1000)
    return waits


async def main(rounds: int, jobs: int) -> None:
    async with AsyncExitStack() as stack:
        stages = {name: await stack.enter_async_context(arena("noop", slots=2, module=name)) for name in (REAL, BARE)}
        for stage in stages.values():
            await stage.publisher.request(NoopRequested(job_id="warm-up"))
            await stage.ended("warm-up")
        rates: dict[str, list[float]] = {name: [] for name in stages}
        waits: dict[str, list[float]] = {name: [] for name in stages}
        for number in range(rounds):  # in turn, so that what else happens on the machine meets both
            for name, stage in stages.items():
                rates[name].append(await rate(stage, number, jobs))
                waits[name] += await latency_ms(stage, number, jobs // 4)
            print(f"round {number + 1} of {rounds}: {rates[REAL][-1]:.0f} and {rates[BARE][-1]:.0f} jobs/s", flush=True)
    told = {name: (statistics.median(rates[name]), statistics.quantiles(waits[name], n=100)) for name in stages}
    print(f"\n{rounds} rounds of {jobs} jobs that do nothing, each in a process of its own, in turn")
    print(f"{'':24}{'jobs/s':>10}{'publish → started, ms: p50':>30}{'p99':>8}")
    for title, name in (("with the promises", REAL), ("without", BARE)):
        speed, cuts = told[name]
        print(f"{title:24}{speed:>10.1f}{cuts[49]:>30.1f}{cuts[98]:>8.1f}")
    ratio = statistics.median(real / bare for real, bare in zip(rates[REAL], rates[BARE], strict=True))
    print(f"{'ratio':24}{ratio:>10.2f}{told[REAL][1][49] / told[BARE][1][49]:>30.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=200)
    told_ = parser.parse_args()
    asyncio.run(main(told_.rounds, told_.jobs))
