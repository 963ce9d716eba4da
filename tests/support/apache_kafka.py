"""Apache Kafka for a test: one KRaft node on this machine, which can be killed and started again on its data."""

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from infra.lifeline import die_with_parent

from .kafka_jars import kafka_jars
from .ports import free_port

_HOST = "127.0.0.1"
_START_S = 100.0
_STOP_S = 20.0
_ANSWER_MS = 5000
#: Small, and compiled no further than a short life is worth.
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_TAIL = 4000
#: Any 16 bytes; nodes of different tests never meet.
_CLUSTER = "b21uaXNjb3BlLW1sLXRlcw"

# After a kill the node may register again only when its former life's session is over: 9 s, if it is not told.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=300
log.segment.delete.delay.ms=1000
"""


def require_kafka() -> Path:
    """The broker's jars. Without Java, or where they cannot be fetched, the test is skipped; in CI it fails."""
    return kafka_jars()


class ApacheKafka:
    """A node at `address`, started by `async with` and gone behind it, however this process ends.

    Start it from the main thread: it dies with the thread that started it.

    Args:
        folder: gets its data, its properties and what it prints (`kafka.log`). Is made.
        port: where clients connect.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"{_HOST}:{port}"
        self.folder = folder
        self.log_file = folder / "kafka.log"
        self._port = port
        self._controller_port = free_port()
        self._jars: Path | None = None
        # No asyncio process: a node may be used by one event loop after another.
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()  # nobody needs its data any more

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker is not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Starts it on the data it has, the first time on none, and returns when it answers.

        Raises:
            AssertionError: it does not; the message ends with what it printed last.
        """
        assert not self.running, "the broker runs already"
        self._jars = self._jars or require_kafka()
        if not (self.folder / "server.properties").exists():
            await self._format()
        self._process = self._launch()
        try:
            await self._until_it_answers()
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone. What it had acknowledged stands in its data."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    async def stop(self) -> None:
        """An orderly end; by force if it takes too long."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            await self.kill()

    async def _format(self) -> None:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / "server.properties.part"
        known = {"host": _HOST, "port": self._port, "controller_port": self._controller_port}
        half.write_text(_PROPERTIES.format(**known, data=self.folder / "data"))
        command = self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(half))
        with self.log_file.open("ab") as log:
            done = await asyncio.to_thread(subprocess.run, command, stdout=log, stderr=log, check=False)
        assert done.returncode == 0, f"Apache Kafka's data cannot be formatted:\n{self._told()}"
        half.rename(self.folder / "server.properties")

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                self._java("kafka.Kafka", str(self.folder / "server.properties")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for pytest, which ends it
                preexec_fn=die_with_parent(),
            )

    def _java(self, *words: str) -> list[str]:
        return ["java", *_JVM, "-cp", f"{self._jars}/*", *words]

    async def _until_it_answers(self) -> None:
        deadline = monotonic() + _START_S
        while not await self._answers():
            assert self.running, f"Apache Kafka ended at once:\n{self._told()}"
            assert monotonic() < deadline, f"Apache Kafka did not answer within {_START_S:g} s:\n{self._told()}"
            await asyncio.sleep(0.05)  # nothing announces that a port begins to listen

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(_HOST, self._port)
        except OSError:
            return False
        writer.close()
        client = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=_ANSWER_MS)
        try:
            await client.start()
            await client.list_topics()
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()
        return True

    def _told(self) -> str:
        """What it printed last; its first complaint, if it had one."""
        printed = self.log_file.read_text(errors="replace")
        _, error, complaint = printed.partition("] ERROR ")
        return error + complaint[:_TAIL] if error else printed[-_TAIL:]
