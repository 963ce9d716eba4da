"""How fast the tables are made anew from the log: `python -m benchmarks.rebuild [--database URL]`.

A log on the embedded broker, jobs with twenty words each as in `benchmarks.projector`. The first rebuild finds empty
tables and fills them, the second finds them identical.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks.projector import prepared
from infra.cli.house import free_port
from infra.kafka.embedded.server import EmbeddedBroker
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.rebuild import Rebuilt, rebuild
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

_AT_A_TIME_JOBS = 1000


async def measure(n_jobs: int, database: str) -> list[tuple[Rebuilt, float]]:
    """The two rebuilds of a log of `n_jobs` jobs, each with the seconds of a core that it took here."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder) / "data", embedded_kafka_port=free_port(), topic_partitions=2, database_url=database
        )
        settings.make_data_dir()
        async with EmbeddedBroker(settings.embedded_kafka_port, Path(folder) / "broker.log"):
            await ensure_topics(settings, wait_s=10)
            await ensure_epoch(settings)
            await _publish(settings, n_jobs)
            return [await _timed(settings), await _timed(settings)]


async def _timed(settings: Settings) -> tuple[Rebuilt, float]:
    begun = time.process_time()
    return await rebuild(settings), time.process_time() - begun


async def _publish(settings: Settings, n_jobs: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, linger_ms=5) as producer:
        for first in range(0, n_jobs, _AT_A_TIME_JOBS):
            records = prepared(min(_AT_A_TIME_JOBS, n_jobs - first), first)
            sent = [
                await producer.send(r.place.topic, r.value, r.key, headers=list(r.headers), timestamp_ms=None)
                for r in records
            ]
            await asyncio.gather(*sent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--database", default="", help="postgresql+asyncpg://…; SQLite if not told")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    (filled, filled_cpu_s), (identical, identical_cpu_s) = asyncio.run(measure(told.jobs, told.database))
    found = {
        "records": filled.records,
        "filled_s": round(filled.seconds, 1),
        "filled_per_s": round(filled.records / filled.seconds),
        "filled_cpu_s": round(filled_cpu_s, 1),
        "identical_s": round(identical.seconds, 1),
        "identical_per_s": round(identical.records / identical.seconds),
        "identical_cpu_s": round(identical_cpu_s, 1),
        "identical": identical.identical,
        "greatest_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(found) if told.json else "\n".join(f"{name:16} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
