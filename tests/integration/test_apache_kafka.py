"""Apache Kafka as the tests start it: it keeps what it acknowledged, and never outlives its test."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from support.apache_kafka import ApacheKafka, require_kafka
from support.broker import free_port

from events.topics import Topic
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PLACE = TopicPartition(Topic.NOOP, 0)


async def read(address: str, count: int) -> list[bytes | None]:
    async with AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        consumer.assign([PLACE])
        return [(await consumer.getone()).value for _ in range(count)]


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    async with ApacheKafka(tmp_path / "kafka", free_port()) as kafka:
        settings = Settings(data_dir=tmp_path, kafka_bootstrap_servers=kafka.address, topic_partitions=1)
        await ensure_topics(settings)
        async with AIOKafkaProducer(bootstrap_servers=kafka.address, acks="all") as producer:
            await producer.send_and_wait(Topic.NOOP, b"before", partition=0)
            first = kafka.pid
            await kafka.kill()
            assert not psutil.pid_exists(first)
            sending = asyncio.create_task(producer.send_and_wait(Topic.NOOP, b"while it was away", partition=0))
            await kafka.start()
            await sending
        assert await ensure_topics(settings) == [], "it came back without its topics"
        assert await read(kafka.address, 2) == [b"before", b"while it was away"]
        await kafka.stop()
        assert not kafka.running


async def test_a_port_that_is_taken_is_told_by_its_log(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", free_port())) as taken,
        pytest.raises(AssertionError, match="Address already in use"),
    ):
        await ApacheKafka(tmp_path, taken.getsockname()[1]).start()


async def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    require_kafka()
    script = """
        import asyncio, sys
        from pathlib import Path
        from support.apache_kafka import ApacheKafka

        async def main():
            async with ApacheKafka(Path(sys.argv[1]), int(sys.argv[2])) as kafka:
                print(kafka.pid, flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(script), str(tmp_path), str(free_port())),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    broker = psutil.Process(int(await parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await asyncio.to_thread(psutil.wait_procs, [broker], 60)
    assert not broker.is_running()
