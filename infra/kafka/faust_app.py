"""One Faust app per kind of request: a consumer group of its own, raw bytes, nothing acknowledged by itself.

Every setting here is the answer to a way in which events were lost or work stood still; see docs/decisions.md.
"""

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

from infra.settings import Settings

from .closing import end_fetches
from .membership import Membership, confirm_by_heartbeats, leave_when_stopped, mind_the_name

#: The client's own value for «never»: a worker that thinks for long has not died.
_NEVER_S = 1e6

_FETCH_WAIT_MS = 50


def build(name: str, topic: str, settings: Settings, membership: Membership) -> tuple[faust.App, Any]:
    """An app for group `omniscope-ml.<name>` and its request topic, handing out raw bytes."""
    app = faust.App(
        f"omniscope-ml.{name}",
        broker=f"kafka://{settings.bootstrap_servers}",
        datadir=str(settings.data_dir / "faust"),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=settings.topic_partitions,
        topic_replication_factor=settings.topic_replication,
        # A running job must not hold up a rebalance; what is redelivered meanwhile is recognised.
        stream_wait_empty=False,
        stream_processing_timeout=_NEVER_S,
        broker_max_poll_interval=_NEVER_S,
        broker_commit_livelock_soft_timeout=_NEVER_S,
        broker_session_timeout=settings.kafka_session_timeout_s,
        broker_heartbeat_interval=1.0,
        broker_request_timeout=max(90.0, settings.kafka_session_timeout_s),
        broker_commit_interval=0.2,
        consumer_auto_offset_reset="earliest",
        # With a name of its own a worker that comes back in time finds its partitions where it left them.
        # Not on the embedded broker, which forgets its groups' members when it is restarted.
        consumer_group_instance_id=None if settings.embedded_broker else settings.worker_id,
    )
    app.transport = _transport(membership)(app.conf.broker_consumer, app)
    # Only the raw serializer hands over bytes that are no JSON; the others acknowledge and drop them.
    return app, app.topic(topic, key_serializer="raw", value_serializer="raw", partitions=settings.topic_partitions)


async def _seek_to_where_it_was_left(consumer: Any) -> Any:
    """Back to the committed offsets, and to the beginning where none was ever committed; returns the committed ones.

    During a rebalance Faust throws away what it reads, and then seeks. aiokafka's own seek leaves a partition where
    it is that nothing was committed for, so the first requests there would never be seen again.
    """
    committed = await consumer.seek_to_committed()
    if never := [partition for partition, offset in committed.items() if not offset]:
        await consumer.seek_to_beginning(*never)
    return committed


def _transport(membership: Membership) -> type[driver.Transport]:
    """Faust's transport with its consumer mended (fetches wait 50 ms, not 1.5 s) and its heartbeats heard."""

    class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
        def _create_worker_consumer(self, transport: Any) -> Any:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
            consumer._isolation_level = "read_committed"  # a publisher's aborted transaction asks for nothing
            return consumer

        async def on_start(self) -> None:
            await super().on_start()
            confirm_by_heartbeats(self._consumer, membership.confirm)
            mind_the_name(self._consumer, membership.forgotten)

        async def seek_to_committed(self) -> Any:
            return await self.call_thread(_seek_to_where_it_was_left, self._ensure_consumer())

        def verify_event_path(self, now: float, tp: Any) -> None:
            """Nothing: Faust's search for streams that stand still trips over a partition that it has just been given.

            The consumer crashes with it, and the worker with the consumer. Every limit it looks for is «never» here.
            """

        async def on_thread_stop(self) -> None:
            if self._consumer is not None:
                leave_when_stopped(self._consumer)
                await end_fetches(self._consumer)  # else this thread dies of it, and its app never ends
            await super().on_thread_stop()

    class Consumer(driver.Consumer):  # type: ignore[misc]
        def _new_consumer_thread(self) -> Thread:
            return Thread(self, loop=self.loop, beacon=self.beacon)

    class Transport(driver.Transport):  # type: ignore[misc]
        pass

    Transport.Consumer = Consumer
    return Transport
