"""`omniscope-ml up` as a person starts it, in one process group of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.settings import Settings

from .broker import free_port
from .reading import ask_api


class Up:
    """A running `up`."""

    def __init__(self, process: asyncio.subprocess.Process, settings: Settings) -> None:
        self.process = process
        self.settings = settings

    async def command(self, *words: str) -> Any:
        """What `omniscope-ml WORDS --json` prints, with this house's settings; it must succeed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", *words, "--json"),
            env=environment(self.settings),
            stdout=subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed
        return json.loads(printed)

    async def get(self, path: str, until: Any = None) -> Any:
        """What the API answers; with `until`, asked again until that holds of the answer."""
        return await ask_api(self.settings, path, until)


@asynccontextmanager
async def running_up(tmp_path: Path, *words: str) -> AsyncIterator[Up]:
    """`omniscope-ml up --json WORDS`, ready; stopped at the end if it still runs."""
    settings = Settings(
        data_dir=tmp_path / "data", embedded_kafka_port=free_port(), api_port=free_port(), topic_partitions=2
    )
    with (tmp_path / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", "up", "--json", *words),
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None
    announced = await process.stdout.readuntil(b"}") if not process.returncode else b""
    assert b"api" in announced, (tmp_path / "up.log").read_text()[-3000:]
    try:
        yield Up(process, settings)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which every command finds this house."""
    return {
        # A developer's own tracking server is none of a test's business.
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        "DATA_DIR": str(settings.data_dir),
        "EMBEDDED_KAFKA_PORT": str(settings.embedded_kafka_port),
        "API_PORT": str(settings.api_port),
        "TOPIC_PARTITIONS": str(settings.topic_partitions),
    }
