"""A broker, agents in a process of their own, and a stopwatch on what they publish."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from events import Publisher
from events.envelope import CloudEvent, decode
from events.topics import Topic
from infra.kafka.connection import client_settings
from infra.kafka.embedded.server import EmbeddedBroker
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

ENDS = ("ml.job.completed", "ml.job.failed")


class Arena:
    """Publishes requests and knows when what was heard of them, by the wall clock, in seconds."""

    def __init__(self, settings: Settings, publisher: Publisher, worker: int) -> None:
        self.settings = settings
        self.publisher = publisher
        #: The worker's process id.
        self.worker = worker
        #: (event name, job id) → when it arrived here, and the event.
        self.heard: dict[tuple[str, str], tuple[float, CloudEvent]] = {}
        self._news = asyncio.Condition()

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            event = decode(record.value, record.headers)
            self.heard.setdefault((event.name, event.subject or ""), (time.time(), event))
            async with self._news:
                self._news.notify_all()

    async def ended(self, *job_ids: str) -> None:
        """Returns when all have ended."""

        def all_ended() -> bool:
            return all(any((name, job) in self.heard for name in ENDS) for job in job_ids)

        async with self._news:
            await self._news.wait_for(all_ended)

    def at(self, name: str, job_id: str) -> float:
        return self.heard[name, job_id][0]

    def event(self, name: str, job_id: str) -> CloudEvent:
        return self.heard[name, job_id][1]


@asynccontextmanager
async def arena(*kinds: str, slots: int = 2, module: str = "infra.cli") -> AsyncIterator[Arena]:
    """Everything started and warm; stopped at the end. `module`: whose main starts the worker."""
    with tempfile.TemporaryDirectory(prefix="omniscope-bench-") as folder:
        settings = Settings(data_dir=Path(folder), embedded_kafka_port=_free_port(), worker_slots=slots)
        async with EmbeddedBroker(settings.embedded_kafka_port, Path(folder) / "broker.log"):
            await ensure_topics(settings, wait_s=10)
            worker = await _start_worker(settings, kinds, module)
            ears = AIOKafkaConsumer(
                Topic.JOBS,
                Topic.PROGRESS,
                **client_settings(settings),
                auto_offset_reset="earliest",
                fetch_max_wait_ms=5,
            )
            await ears.start()
            async with Publisher(settings.bootstrap_servers, source="bench") as publisher:
                stage = Arena(settings, publisher, worker.pid)
                listening = asyncio.create_task(stage.listen(ears))
                yield stage
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await ears.stop()
            worker.terminate()
            await worker.wait()


async def _start_worker(settings: Settings, kinds: tuple[str, ...], module: str) -> asyncio.subprocess.Process:
    """`omniscope-ml agent …`, returned when it says that it is ready."""
    reading, writing = os.pipe()
    told = {
        "DATA_DIR": str(settings.data_dir),
        "EMBEDDED_KAFKA_PORT": str(settings.embedded_kafka_port),
        "WORKER_SLOTS": str(settings.worker_slots),
        "OMNISCOPE_READY_FD": str(writing),
    }
    with (settings.data_dir / "agent.log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, "agent", *kinds),
            env=os.environ | told,
            pass_fds=[writing],
            stdout=log,
            stderr=log,
        )
    os.close(writing)
    ready = await asyncio.to_thread(os.read, reading, 100)
    os.close(reading)
    if not ready:
        raise RuntimeError((settings.data_dir / "agent.log").read_text()[-2000:])
    return worker


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
