"""One Apache Kafka for all tests of a run, emptied for each: to start one takes longer than most of them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from .apache_kafka import ApacheKafka
from .ports import free_port


class _Shared:
    def __init__(self) -> None:
        self.node: ApacheKafka | None = None
        self.lent = False
        self.folder: tempfile.TemporaryDirectory[str] | None = None


_shared = _Shared()


@asynccontextmanager
async def lent_kafka() -> AsyncIterator[str]:
    """The address of an empty Apache Kafka, for one test at a time. It may be slow to forget members that died."""
    assert not _shared.lent, "the shared Apache Kafka is in use: start an ApacheKafka beside it"
    if _shared.node is None or not _shared.node.running:
        await _start()
    assert _shared.node is not None
    _shared.lent = True
    try:
        await _empty(_shared.node.address)
        yield _shared.node.address
    finally:
        _shared.lent = False


async def end_shared_kafka() -> None:
    """Ends it, if any test has started it, and removes its data."""
    if _shared.node is not None:
        await _shared.node.kill()
    if _shared.folder is not None:
        _shared.folder.cleanup()
    _shared.node = _shared.folder = None


async def _start() -> None:
    await end_shared_kafka()
    _shared.folder = tempfile.TemporaryDirectory(prefix="omniscope-kafka-")
    _shared.node = ApacheKafka(Path(_shared.folder.name), free_port())
    await _shared.node.start()


async def _empty(address: str) -> None:
    """Deletes every topic, and returns when the broker and its groups have forgotten them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        while topics := [name for name in await admin.list_topics() if not name.startswith("__")]:
            await admin.delete_topics(topics)
            await asyncio.sleep(0.02)  # it is told when the controller knows, a moment before the broker does
        for group, _ in await admin.list_consumer_groups():
            while await _offsets(admin, group):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def _offsets(admin: Any, group: str) -> dict[Any, Any]:
    found: dict[Any, Any] = await admin.list_consumer_group_offsets(group)
    return found
