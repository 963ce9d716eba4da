"""Creates the topics before anything else touches the broker, and checks that they are what they should be.

A broker that creates topics by itself does so at any mention of a name, with partitions of its own choosing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code

from events.errors import BrokerUnreachable
from events.topics import TOPICS, Topic, TopicSpec
from infra.kafka.connection import client_settings
from infra.settings import Settings

log = logging.getLogger(__name__)

_EXISTS = 36
#: The controller is moving, or the topic was created a moment ago: these pass.
_PASSING = {3, 5, 6, 7, 41}
_PATIENCE_S = 15.0
_BETWEEN_TRIES_S = 0.2


class TopicsError(RuntimeError):
    """The topics are not as they must be. The message names one and the remedy."""


async def ensure_topics(settings: Settings, *, wait_s: float = 0.0) -> list[str]:
    """Creates every topic that is missing and checks the partitions of all; returns the names created.

    Any number of processes may do this at once. Where all topics exist, no right to create any is needed.

    Args:
        wait_s: how long to wait for a broker that does not answer yet.

    Raises:
        BrokerUnreachable: nobody answers at the configured address.
        TopicsError: a topic cannot be created, or has another number of partitions than TOPIC_PARTITIONS.
    """
    async with admin(settings, wait_s=wait_s) as client:
        existing = set(await client.list_topics())
        missing = [spec for spec in TOPICS if spec.name not in existing]
        created = await _create(client, missing, settings)
        _check(await _partitions(client), settings)
    if created:
        log.info("created %d topics with %d partitions each", len(created), settings.topic_partitions)
    return created


@asynccontextmanager
async def admin(settings: Settings, *, wait_s: float = 0.0) -> AsyncIterator[Any]:
    """A connected admin client.

    Raises:
        BrokerUnreachable: nobody answered for `wait_s`.
    """
    deadline = monotonic() + wait_s
    while True:
        client = AIOKafkaAdminClient(**client_settings(settings), client_id="omniscope-ml")
        try:
            await client.start()
            break
        except (KafkaConnectionError, OSError) as error:
            await client.close()
            if monotonic() >= deadline:
                raise BrokerUnreachable(_unreachable(settings)) from error
            await asyncio.sleep(_BETWEEN_TRIES_S)
    try:
        yield client
    finally:
        await client.close()


async def partition_counts(settings: Settings) -> dict[str, int]:
    """Topic → number of partitions, for those of our topics that exist. Creates nothing, not even by asking."""
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        described = await client.describe_topics([spec.name for spec in TOPICS if spec.name in existing])
        return {topic["topic"]: len(topic["partitions"]) for topic in described}


def wanted_partitions(spec: TopicSpec, settings: Settings) -> int:
    return spec.partitions or settings.topic_partitions


def _unreachable(settings: Settings) -> str:
    remedy = "start it by `omniscope-ml up`" if settings.embedded_broker else "correct KAFKA_BOOTSTRAP_SERVERS"
    return f"no Kafka broker answers at {settings.bootstrap_servers}: {remedy}"


async def _create(client: Any, missing: list[TopicSpec], settings: Settings) -> list[str]:
    created: list[str] = []
    deadline = monotonic() + _PATIENCE_S
    while missing:
        response = await client.create_topics(
            [new_topic(spec.name, wanted_partitions(spec, settings), settings) for spec in missing]
        )
        codes = {error[0]: (error[1], error[2]) for error in response.topic_errors}
        created += [spec.name for spec in missing if codes[spec.name][0] == 0]
        missing = [spec for spec in missing if codes[spec.name][0] not in (0, _EXISTS)]
        passing = all(codes[spec.name][0] in _PASSING for spec in missing)
        if missing and (not passing or monotonic() > deadline):
            code, told = codes[missing[0].name]
            raise TopicsError(
                f"the broker refuses to create topic {missing[0].name} ({told or for_code(code).__name__}): "
                "correct TOPIC_REPLICATION or this user's rights, or have the topics created by an operator"
            )
        if missing:
            await asyncio.sleep(_BETWEEN_TRIES_S)
    return created


def new_topic(name: str, partitions: int, settings: Settings) -> NewTopic:
    """A topic to be created, with what ours are configured to keep."""
    spec = next((spec for spec in TOPICS if spec.name == name), None)
    kept: dict[str, str] = {}
    if spec is not None:
        kept = {"cleanup.policy": "delete", "retention.ms": str(spec.retention_ms), "retention.bytes": "-1"}
    if spec is not None and spec.max_message_bytes is not None:
        kept["max.message.bytes"] = str(spec.max_message_bytes)
    return NewTopic(
        name=str(name),
        num_partitions=partitions,
        replication_factor=settings.topic_replication,
        topic_configs=kept,
    )


async def _partitions(client: Any) -> dict[str, int]:
    deadline = monotonic() + _PATIENCE_S
    while True:
        described = await client.describe_topics([spec.name for spec in TOPICS])
        bad = [topic for topic in described if topic["error_code"] != 0]
        if not bad:
            return {topic["topic"]: len(topic["partitions"]) for topic in described}
        if bad[0]["error_code"] not in _PASSING or monotonic() > deadline:
            name = for_code(bad[0]["error_code"]).__name__
            raise TopicsError(f"the broker does not describe topic {bad[0]['topic']} ({name})")
        await asyncio.sleep(_BETWEEN_TRIES_S)


def _check(found: dict[str, int], settings: Settings) -> None:
    for spec in TOPICS:
        wanted, has = wanted_partitions(spec, settings), found[spec.name]
        if has == wanted:
            continue
        told = f"topic {spec.name} has {has} partitions, not {wanted}"
        if spec.partitions is not None:
            raise TopicsError(f"{told}: it must have {spec.partitions}; delete it and start again")
        if spec.name in request_topics():
            raise TopicsError(
                f"{told}: set TOPIC_PARTITIONS={has}, or delete the topic if something else created it by accident"
            )
        log.warning("%s, as TOPIC_PARTITIONS says; nothing is lost by it", told)


def request_topics() -> list[Topic]:
    """The topics that work is taken from."""
    return [topic for topic in Topic if topic.endswith(".requested") or topic is Topic.DATASETS_UPLOADED]
