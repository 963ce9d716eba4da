"""From the kill of a worker to the restart of its job on another, on Apache Kafka; nothing else happens meanwhile.

python -m benchmarks recovery [--rounds 10] [--session 6]
"""

import argparse
import asyncio
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from support.services import Services, running_services


async def killed_to_restarted(services: Services, number: int) -> float:
    """Seconds. The worker that runs the job is killed, and a new one takes its place among the two afterwards."""
    house, job_id = services.house, f"job-{number}"
    await house.ask("ml.noop.requested", job_id, duration_s=600)
    started = await house.heard("ml.job.started", job_id)
    pids = {f":{process.pid}": name for name, process in services.processes.items()}
    victim = next(name for pid, name in pids.items() if started.data["worker"].endswith(pid))
    await services.stop(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    await house.first(lambda e: _is_restart(e, job_id))
    seconds = time.monotonic() - killed_at
    await house.ask("ml.cancellation.requested", job_id)
    await house.ended(job_id)
    await services.start(victim, "agent", "noop", WORKER_SLOTS="8")
    return seconds


def _is_restart(event: Any, job_id: str) -> bool:
    return event.name == "ml.job.started" and event.subject == job_id and event.data["attempt"] == 2


async def main(rounds: int, session: float) -> None:
    with tempfile.TemporaryDirectory(prefix="omniscope-bench-") as folder:
        async with running_services(Path(folder), broker="apache", session_s=session) as services:
            for name in ("first", "second"):
                await services.start(name, "agent", "noop", WORKER_SLOTS="8")
            seconds = []
            for number in range(rounds):
                seconds.append(await killed_to_restarted(services, number))
                print(f"round {number + 1} of {rounds}: {seconds[-1]:.1f} s", flush=True)
    p50, most = statistics.median(seconds), max(seconds)
    print(f"\nFrom kill -9 of a worker to the restart of its job, session {session:g} s, {rounds} times:")
    print(f"  p50 {p50:.1f} s, most {most:.1f} s   (goal: {session + 2:g} s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--session", type=float, default=6.0)
    told = parser.parse_args()
    asyncio.run(main(told.rounds, told.session))
