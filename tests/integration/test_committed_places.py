"""Where a consumer goes on after a rebalance: at what was committed, and at the beginning where nothing was."""

from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from support.broker import Broker, running_broker

from events.topics import Topic
from infra.kafka.connection import client_settings
from infra.kafka.faust_app import _seek_to_where_it_was_left


async def test_what_was_read_and_never_committed_is_read_again(tmp_path: Path, both_brokers: Broker) -> None:
    first, second, third = (TopicPartition(Topic.NOOP, number) for number in range(3))
    async with running_broker(tmp_path, both_brokers, topic_partitions=3) as settings:
        async with AIOKafkaProducer(**client_settings(settings)) as producer:
            for partition in (first, second, third):
                for number in range(4):
                    await producer.send_and_wait(partition.topic, b"%d" % number, partition=partition.partition)
        async with AIOKafkaConsumer(
            Topic.NOOP,
            **client_settings(settings),
            group_id="test",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        ) as consumer:
            read: set[TopicPartition] = set()
            while read != {first, second, third}:
                read |= (await consumer.getmany(timeout_ms=1000)).keys()
            await consumer.commit({first: 3, second: 0})
            assert [await consumer.position(partition) for partition in (first, second, third)] == [4, 4, 4]
            await _seek_to_where_it_was_left(consumer)
            assert [await consumer.position(partition) for partition in (first, second, third)] == [3, 0, 0]
