"""Reading without a group: nobody's partitions move, and the reader says itself where it begins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from events.errors import BrokerUnreachable
from infra.settings import Settings

from . import closing
from .connection import client_settings


@asynccontextmanager
async def reading_alone(settings: Settings, **more: Any) -> AsyncIterator[Any]:
    """A connected consumer without partitions as yet; `more` in aiokafka's words. It is ended whatever the broker does.

    Raises:
        BrokerUnreachable: nobody answers at the configured address.
    """
    known = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": 50,
    }
    consumer = AIOKafkaConsumer(**client_settings(settings), **{**known, **more})
    try:
        try:
            await consumer.start()
        except KafkaConnectionError as error:
            raise BrokerUnreachable(f"no Kafka broker answers at {settings.bootstrap_servers}") from error
        yield consumer
    finally:
        await closing.stop(consumer)
