"""A broker for a test, with the topics made: the embedded one, or Apache Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from infra.kafka.embedded.server import EmbeddedBroker
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

from .ports import free_port
from .shared_kafka import lent_kafka

__all__ = ["Broker", "free_port", "running_broker"]

Broker = Literal["embedded", "apache"]


@asynccontextmanager
async def running_broker(tmp_path: Path, broker: Broker = "embedded", **settings: Any) -> AsyncIterator[Settings]:
    """Settings that point at a broker with nothing on it, this test's own while it lasts.

    Apache Kafka is the same node in all tests: one that is to be killed, or a second one, is an `ApacheKafka`.
    """
    known = Settings(
        data_dir=tmp_path / "data",
        embedded_kafka_port=free_port(),
        kafka_session_timeout_s=6,
        **{"topic_partitions": 2, **settings},
    )
    known.make_data_dir()
    async with _serving(known, broker, tmp_path / "broker.log") as served:
        await ensure_topics(served, wait_s=10)
        await ensure_epoch(served)
        yield served


@asynccontextmanager
async def _serving(known: Settings, broker: Broker, log_file: Path) -> AsyncIterator[Settings]:
    if broker == "apache":
        async with lent_kafka() as address:
            yield known.model_copy(update={"kafka_bootstrap_servers": address})
    else:
        async with EmbeddedBroker(known.embedded_kafka_port, log_file):
            yield known
