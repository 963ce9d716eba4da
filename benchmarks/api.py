"""How fast the read API tells where a job stands.

    python -m benchmarks.api [--jobs 1000] [--seconds 3] [--connections 8]

A real server in a process of its own, a SQLite file with `--jobs` rows, tokens checked, over loopback. The
client speaks plain HTTP/1.1 over kept connections: an HTTP library would cost more than what is measured.
Prints one line of JSON.
"""

import argparse
import asyncio
import io
import json
import signal
import sys
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import structlog

from events.envelope import CloudEvent, full_type, headers_of
from events.outcomes import JobStarted
from events.topics import JobKind, Topic
from infra.api import serving, tokens
from infra.settings import Settings
from infra.storage.database import migrate, open_engine
from infra.storage.upserts import apply
from schemas.projection import Place, Record, project

_WARM_UP = 50


def main() -> None:
    asked = _arguments()
    if asked.serve is not None:
        asyncio.run(_serve(asked.serve))
    else:
        print(json.dumps(asyncio.run(measure(asked.jobs, asked.seconds, asked.connections))))


async def measure(jobs: int, seconds: float, connections: int) -> dict[str, Any]:
    """Requests per second, and milliseconds at the median and the 99th percentile, of the status of one job."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), api_host="127.0.0.1", api_port=0)
        await _fill(settings, jobs)
        token = tokens.issue(settings, "benchmark")
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.api", "--serve", folder), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            port = int(await server.stdout.readline())
            one = await _load(port, token, jobs, 1, min(seconds, 1.0))
            many = await _load(port, token, jobs, connections, seconds)
        finally:
            server.send_signal(signal.SIGTERM)
            await server.wait()
    return {"jobs": jobs, "one_connection": one, f"{connections}_connections": many}


async def _load(port: int, token: str, jobs: int, connections: int, seconds: float) -> dict[str, float]:
    numbers = count()
    took: list[float] = []
    warm = asyncio.Barrier(connections)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(_WARM_UP):
            await _ask(reader, writer, token, next(numbers) % jobs)
        await warm.wait()
        until = perf_counter() + seconds
        while (began := perf_counter()) < until:
            await _ask(reader, writer, token, next(numbers) % jobs)
            took.append(perf_counter() - began)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client() for _ in range(connections)))
    cuts = quantiles(took, n=100)
    return {
        "requests_per_s": round(len(took) / seconds),
        "p50_ms": round(cuts[49] * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
    }


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, number: int) -> None:
    head = f"GET /api/ml/jobs/job-{number}/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}"
    writer.write(head.encode() + b"\r\n\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200"), answer
    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    assert f'"job-{number}"'.encode() in body


async def _fill(settings: Settings, jobs: int) -> None:
    await migrate(settings.database)
    engine = open_engine(settings.database)
    async with engine.begin() as connection:
        for number in range(jobs):
            writes = project(_started(number))
            assert isinstance(writes, list), writes
            await apply(connection, writes)
    await engine.dispose()


def _started(number: int) -> Record:
    """The event that makes `job-<number>` a running job, as the log holds it."""
    now = datetime.now(UTC)
    fact = JobStarted(
        job_id=f"job-{number}",
        kind=JobKind.AUTOML,
        attempt=1,
        request={"dataset_id": "cohort", "target_column": "outcome"},
        worker="benchmark",
        started_at=now,
    )
    event = CloudEvent(
        source="benchmark", type=full_type("ml.job.started"), subject=fact.job_id, data=fact.model_dump(mode="json")
    )
    place = Place("benchmark", Topic.JOBS, 0, number, int(now.timestamp() * 1000))
    return Record(place, fact.job_id.encode(), event.to_bytes(), tuple(headers_of(event)))


async def _serve(folder: Path) -> None:
    # The lines of the access log are made, as in production, but not shown here.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=io.StringIO()))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings(data_dir=folder, api_host="127.0.0.1", api_port=0)
    await serving.serve(settings, stop, lambda url: print(url.rsplit(":", 1)[-1], flush=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast the read API tells where a job stands.")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
