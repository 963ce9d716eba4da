"""`python -m benchmarks.execution [MODULE …]`: what a fresh, warm process for each job costs on this machine.

Without arguments, what AutoML's handler preloads is preloaded.
"""

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from events.topics import JobKind
from handlers.contract import Inputs, Outputs, Report, Result
from handlers.registry import HANDLERS
from infra.execution.local import LocalExecutor
from infra.execution.messages import Task
from infra.execution.processes import pss

_JOBS = 60
_MIB = 1024**2


def finish(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that does nothing."""
    return Result(summary="done")


def hang(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that never ends."""
    time.sleep(3600)
    return Result(summary="woken")


def _task(folder: Path, handler: str) -> Task:
    home = folder / uuid.uuid4().hex
    return Task(
        task_id=home.name,
        entry=f"benchmarks.execution:{handler}",
        request_model="events.requests:DatasetUploaded",
        request={"dataset_id": "d", "uri": "/d.csv"},
        inputs=Inputs(),
        out_dir=home / "out",
        keep_dir=home / "keep",
    )


async def _one(executor: LocalExecutor, folder: Path) -> tuple[float, float]:
    """(submit → started, submit → all processes gone) in milliseconds."""
    began = time.perf_counter()
    messages = (await executor.submit(_task(folder, "finish"))).messages()
    await anext(messages)
    started = time.perf_counter()
    async for _ in messages:
        pass
    return (started - began) * 1e3, (time.perf_counter() - began) * 1e3


async def _killed(executor: LocalExecutor, folder: Path) -> float:
    run = await executor.submit(_task(folder, "hang"))
    await anext(run.messages())
    began = time.perf_counter()
    await run.kill()
    return (time.perf_counter() - began) * 1e3


async def _memory(executor: LocalExecutor, folder: Path) -> str:
    """What a guard and a job that does nothing have for themselves, and their part of what they share."""
    run = await executor.submit(_task(folder, "hang"))
    job = (await anext(run.messages())).pid
    family = {"guard": int(Path(f"/proc/{job}/stat").read_text().rpartition(")")[2].split()[1]), "job": job}  # noqa: ASYNC240
    told = ", ".join(f"{name} {_own(pid):.1f} ({pss(pid) / _MIB:.1f} with shared)" for name, pid in family.items())
    await run.kill()
    return told


def _own(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _spread(name: str, times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return f"{name:32} p50 {cuts[49]:7.1f} ms   p99 {cuts[98]:7.1f} ms   ({len(times)} jobs)"


async def main(preload: tuple[str, ...]) -> None:
    executor = LocalExecutor(("benchmarks.execution", *preload), path=[Path(__file__).parent.parent])
    print("preload:", ", ".join(preload) or "nothing")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        await executor.warm()
        print(f"{'warm-up':32} {time.perf_counter() - began:11.1f} s")
        assert executor.warm_pid is not None
        print(f"{'memory of the warm server':32} {pss(executor.warm_pid) / _MIB:9.1f} MiB")
        times = []
        for _ in range(_JOBS):
            times.append(await _one(executor, folder))
            await asyncio.sleep(0.2)  # as between real jobs: time to fork the next process
        print(_spread("submit → started", [started for started, _ in times]))
        print(_spread("submit → all processes gone", [gone for _, gone in times]))
        print(_spread("kill → all processes gone", [await _killed(executor, folder) for _ in range(_JOBS // 2)]))
        print(f"{'memory of one job, MiB':32} {await _memory(executor, folder)}")
        began = time.perf_counter()
        await asyncio.gather(*(_one(executor, folder) for _ in range(_JOBS)))
        print(f"{'all at once':32} {_JOBS / (time.perf_counter() - began):9.1f} jobs/s")
    await executor.stop()


if __name__ == "__main__":
    asyncio.run(main(tuple(sys.argv[1:]) or HANDLERS[JobKind.AUTOML].preload))
