"""The embedded broker for a test, with the topics made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.kafka.embedded import EmbeddedBroker
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

from .ports import free_port

__all__ = ["free_port", "running_broker"]


@asynccontextmanager
async def running_broker(tmp_path: Path, **settings: Any) -> AsyncIterator[Settings]:
    """Settings that point at a broker of this test's own."""
    known = Settings(
        data_dir=tmp_path / "data",
        embedded_kafka_port=free_port(),
        topic_partitions=2,
        kafka_session_timeout_s=6,
        **settings,
    )
    known.make_data_dir()
    async with EmbeddedBroker(known.embedded_kafka_port, tmp_path / "broker.log"):
        await ensure_topics(known, wait_s=10)
        await ensure_epoch(known)
        yield known
