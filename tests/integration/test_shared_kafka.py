"""The one Apache Kafka of a test run: each test finds it as if it were new."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from support.apache_kafka import require_kafka
from support.broker import running_broker
from support.shared_kafka import lent_kafka

from events.topics import Topic
from infra.kafka.log_epoch import read_epoch
from infra.settings import Settings

GROUP = "reader"


async def say_and_read(settings: Settings, word: bytes) -> tuple[int, bytes | None]:
    """Publishes one record, and reads and commits one as a group: its offset and value."""
    address = settings.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait(Topic.NOOP, word, partition=0)
    async with AIOKafkaConsumer(
        Topic.NOOP, bootstrap_servers=address, group_id=GROUP, auto_offset_reset="earliest", enable_auto_commit=False
    ) as reader:
        record = await reader.getone()
        await reader.commit()
        return record.offset, record.value


async def test_neither_records_nor_groups_go_from_one_test_to_the_next(tmp_path: Path) -> None:
    require_kafka()
    epochs, read = [], []
    for word in (b"first", b"second"):
        async with running_broker(tmp_path, "apache") as settings:
            epochs.append(await read_epoch(settings))
            read.append(await say_and_read(settings, word))
    assert read == [(0, b"first"), (0, b"second")]
    assert epochs[0] != epochs[1]


async def test_it_is_lent_to_one_at_a_time(tmp_path: Path) -> None:
    require_kafka()
    async with lent_kafka():
        with pytest.raises(AssertionError, match="start an ApacheKafka beside it"):
            async with lent_kafka():
                pytest.fail("two have it")
    async with running_broker(tmp_path, "apache") as settings:
        assert await say_and_read(settings, b"after all") == (0, b"after all")
