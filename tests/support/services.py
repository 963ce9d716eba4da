"""The house as processes, each started as it is deployed: `omniscope-ml broker`, `agent`, `projector`, `api`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from infra.kafka.connection import client_settings
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

from .broker import Broker, free_port
from .house import EARS, House
from .reading import ask_api
from .shared_kafka import lent_kafka


class Services:
    """Processes by name; `house` hears what they publish, `get` asks the read API."""

    def __init__(self, settings: Settings, log_dir: Path) -> None:
        self.settings = settings
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._log_dir = log_dir
        self.house: House

    async def start(
        self, name: str, *words: str, module: str = "infra.cli", **environment: str
    ) -> asyncio.subprocess.Process:
        """Starts `omniscope-ml WORDS` (or another main module) and returns when it says that it is ready."""
        reading, writing = os.pipe()
        with (self._log_dir / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *words),
                env={**self.environment, **environment, "OMNISCOPE_READY_FD": str(writing)},
                pass_fds=[writing],
                stdout=log,
                stderr=log,
            )
        os.close(writing)
        ready = await asyncio.to_thread(os.read, reading, 100)
        os.close(reading)
        assert ready, (self._log_dir / f"{name}.log").read_text()[-3000:]
        self.processes[name] = process
        return process

    async def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # one that is stopped would hear of nothing else
        return await process.wait()

    async def stop_all(self) -> None:
        """Stops what still runs, what was started last first."""
        for name in reversed(list(self.processes)):
            if self.processes[name].returncode is None:
                await self.stop(name)

    async def get(self, path: str, until: Any = None) -> Any:
        """What the API answers; with `until`, asked again until that holds of the answer."""
        return await ask_api(self.settings, path, until)

    @property
    def environment(self) -> dict[str, str]:
        """In which every command finds this house."""
        known = self.settings
        return {
            **os.environ,
            # Empty is as good as absent: what a developer's own shell says is none of a test's business.
            "KAFKA_BOOTSTRAP_SERVERS": known.kafka_bootstrap_servers or "",
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "DATA_DIR": str(known.data_dir),
            "EMBEDDED_KAFKA_PORT": str(known.embedded_kafka_port),
            "API_PORT": str(known.api_port),
            "TOPIC_PARTITIONS": str(known.topic_partitions),
            "KAFKA_SESSION_TIMEOUT_S": str(known.kafka_session_timeout_s),
            "WORKER_SLOTS": str(known.worker_slots),
        }


@asynccontextmanager
async def running_services(
    tmp_path: Path, *names: str, broker: Broker = "embedded", session_s: float = 6
) -> AsyncIterator[Services]:
    """A broker and the services in `names`, with an ear on the outcomes; nothing of it is left at the end."""
    async with AsyncExitStack() as stack:
        lent = await stack.enter_async_context(lent_kafka()) if broker == "apache" else None
        settings = Settings(
            data_dir=tmp_path / "data",
            kafka_bootstrap_servers=lent,
            embedded_kafka_port=free_port(),
            api_port=free_port(),
            topic_partitions=2,
            kafka_session_timeout_s=session_s,
            worker_slots=2,
        )
        settings.make_data_dir()
        services = Services(settings, tmp_path)
        stack.push_async_callback(services.stop_all)
        if lent is None:
            await services.start("broker", "broker")
        await ensure_topics(settings, wait_s=10)
        services.house = await stack.enter_async_context(_hearing(settings))
        for name in names:
            await services.start(name, *name.split())
        yield services


@asynccontextmanager
async def _hearing(settings: Settings) -> AsyncIterator[House]:
    """A house that hears every outcome."""
    async with (
        # A publisher may allow itself more than the broker's usual megabyte.
        AIOKafkaProducer(**client_settings(settings), max_request_size=4_000_000) as producer,
        AIOKafkaConsumer(
            *EARS, **client_settings(settings), auto_offset_reset="earliest", fetch_max_wait_ms=50
        ) as ears,
    ):
        house = House(settings, producer)
        listening = asyncio.create_task(house.listen(ears))
        try:
            yield house
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def until_logged(log: Path, words: str) -> None:
    """Returns when the process has said so: a log is polled, nothing announces its lines."""
    while words not in log.read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
