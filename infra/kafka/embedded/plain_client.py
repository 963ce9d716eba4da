"""The broker's own protocol, as plainly as it goes: one question, one answer, for whoever keeps the log.

A consumer fetches ahead, so what it knows of a partition's end may be older than the question. Here an answer is
never older than its question. Only for a broker of one node.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Self

from aiokafka.admin import NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, for_code
from aiokafka.protocol.admin import CreateTopicsRequest, ListGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest

from events.errors import BrokerUnreachable
from infra.kafka.connection import client_settings
from infra.settings import Settings

from .batches import Batch, split

Partition = tuple[str, int]
"""A topic's name and a partition's number."""

_FETCH_BYTES = 50_000_000
_PARTITION_BYTES = 1_000_000
_PRODUCE_MS = 30_000
_EXISTS = 36
_NO_GENERATION = -1
_RETENTION_OF_THE_BROKER = -1


class PlainClient:
    """Use it as an async context manager. Every method raises KafkaError where the broker refuses or is gone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._node = -1

    async def __aenter__(self) -> Self:
        self._client = AIOKafkaClient(**client_settings(self._settings), client_id="omniscope-ml-journal")
        try:
            await self._client.bootstrap()
        except KafkaConnectionError as error:
            raise BrokerUnreachable(f"no Kafka broker answers at {self._settings.bootstrap_servers}") from error
        self._node = self._client.get_random_node()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def topics(self) -> dict[str, int]:
        """Topic → number of partitions. Asked for all at once, it creates none."""
        known = await self._client.fetch_all_metadata()
        return {topic: len(known.partitions_for_topic(topic) or ()) for topic in known.topics()}

    async def create(self, topics: Iterable[NewTopic]) -> None:
        """Creates topics; one that exists stays as it is."""
        asked: list[Any] = [
            (t.name, t.num_partitions, t.replication_factor, [], list((t.topic_configs or {}).items())) for t in topics
        ]
        answer = await self._send(CreateTopicsRequest(asked, _PRODUCE_MS, validate_only=False))
        for name, code, *_ in answer.topic_errors:
            _raise(code, f"create {name}", but=_EXISTS)

    async def fetch(self, places: Mapping[Partition, int], *, wait_ms: int) -> dict[Partition, tuple[int, list[Batch]]]:
        """Partition → (where it ends at this moment, batches from the one that holds the offset in `places`).

        Args:
            wait_ms: at least 1. The embedded broker stops looking for records when this is over, and tells of the
                partitions that it did not come to only where they end.
        """
        asked: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for (topic, number), offset in places.items():
            asked[topic].append((number, offset, _PARTITION_BYTES))
        answer = await self._send(FetchRequest(wait_ms, 1, _FETCH_BYTES, 0, list(asked.items())))
        found: dict[Partition, tuple[int, list[Batch]]] = {}
        for topic, partitions in answer.topics:
            for number, code, end, *_, data in partitions:
                _raise(code, f"fetch {topic}")
                found[topic, number] = (end, split(data or b""))
        return found

    async def append(self, batches: Mapping[Partition, list[Batch]]) -> dict[Partition, int]:
        """Appends batches byte by byte; partition → the offset that its first one got."""
        asked: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for (topic, number), these in batches.items():
            asked[topic].append((number, b"".join(batch.data for batch in these)))
        answer = await self._send(ProduceRequest(None, -1, _PRODUCE_MS, list(asked.items())))
        got: dict[Partition, int] = {}
        for topic, partitions in answer.topics:
            for number, code, offset, *_ in partitions:
                _raise(code, f"append to {topic}")
                got[topic, number] = offset
        return got

    async def groups(self) -> list[str]:
        """The consumer groups that the broker knows, whether anybody is in them or not."""
        answer = await self._send(ListGroupsRequest())
        _raise(answer.error_code, "list the groups")
        return sorted(group for group, *_ in answer.groups)

    async def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """What the group has committed. Asked without names of partitions, the embedded broker gives no answer."""
        asked: dict[str, list[int]] = defaultdict(list)
        for topic, number in partitions:
            asked[topic].append(number)
        answer = await self._send(OffsetFetchRequest(group, list(asked.items())))
        return {
            (topic, number): offset
            for topic, found in answer.topics
            for number, offset, _, code in found
            if code == 0 and offset >= 0
        }

    async def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Commits for a group that nobody is in."""
        told: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for (topic, number), offset in offsets.items():
            told[topic].append((number, offset, ""))
        answer = await self._send(
            OffsetCommitRequest(group, _NO_GENERATION, "", _RETENTION_OF_THE_BROKER, list(told.items()))
        )
        for topic, partitions in answer.topics:
            for _, code in partitions:
                _raise(code, f"commit {topic} for {group}")

    async def _send(self, request: Any) -> Any:
        return await self._client.send(self._node, request)


def _raise(code: int, what: str, but: int = 0) -> None:
    if code not in (0, but):
        raise for_code(code)(f"cannot {what}")
