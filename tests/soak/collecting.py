"""Collects the evidence: the whole log, the store, the ledger, what the API says."""

import asyncio
import json
from pathlib import Path
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from support.reading import ask_api

from events.dead_letters import DeadLetter
from events.envelope import TYPE_PREFIX, TYPE_SUFFIX
from events.topics import TOPICS, Topic
from infra.kafka.connection import client_settings
from infra.settings import Settings

from .evidence import Attempt, Heard, Letter, Stored

_PAGE = 200


async def read_log(settings: Settings) -> tuple[list[Heard], list[Letter]]:
    """Every record of every topic, from the first to what is the last now."""
    consumer = AIOKafkaConsumer(**client_settings(settings), enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        return await _read(consumer)
    finally:
        await consumer.stop()


async def _read(consumer: Any) -> tuple[list[Heard], list[Letter]]:
    places = [
        TopicPartition(spec.name, number)
        for spec in TOPICS
        for number in sorted(await _partitions(consumer, spec.name))
    ]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends = await consumer.end_offsets(places)
    log: list[Heard] = []
    letters: list[Letter] = []
    for place, end in ends.items():
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=1000)).get(place, ()):
                if record.topic == Topic.DEAD_LETTERS:
                    letters.append(_letter(record))
                log.append(_heard(record))
    return log, letters


async def _partitions(consumer: Any, topic: str) -> set[int]:
    while not (found := consumer.partitions_for_topic(topic)):
        await consumer._client.set_topics([spec.name for spec in TOPICS])
        await asyncio.sleep(0.1)
    return set(found)


def _letter(record: Any) -> Letter:
    letter = DeadLetter.from_record(record.key, record.value, record.headers)
    return Letter((letter.topic, letter.partition, letter.offset), letter.reason)


def _heard(record: Any) -> Heard:
    """Read by hand, not by the code that is on trial."""
    try:
        told = json.loads(record.value)
        name = told["type"].removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX)
        known = {"name": name, "id": told["id"], "subject": told.get("subject", ""), "data": told["data"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        known = {}
    return Heard(record.topic, record.partition, record.offset, record.key, record.value, **known)


def read_store(artifacts: Path) -> dict[str, Stored]:
    return {folder.name: _stored(folder) for folder in (artifacts / "jobs").iterdir()}


def _stored(folder: Path) -> Stored:
    attempts = {}
    for claim in folder.glob("attempts/*/claim.json"):
        worker = int(json.loads(claim.read_text())["worker"].rpartition(":")[2])
        attempts[int(claim.parent.name)] = Attempt(worker, (claim.parent / "released.json").exists())
    outcome = folder / "outcome.json"
    if not outcome.exists():
        return Stored(attempts)
    return Stored(attempts, json.loads(outcome.read_text()), outcome.stat().st_mtime)


async def read_rows(settings: Settings, what: str) -> list[dict[str, Any]]:
    """All items of a list of the API, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await ask_api(settings, f"{what}?limit={_PAGE}{cursor}")
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = f"&cursor={page['next']}"


async def read_settled_rows(settings: Settings, ended: int, wait_s: float = 60.0) -> list[dict[str, Any]]:
    """The jobs, as soon as the tables know of so many ends, or when waiting does not help."""
    deadline = monotonic() + wait_s
    while True:
        rows = await read_rows(settings, "/api/ml/jobs")
        if sum(row["status"] in ("completed", "failed", "cancelled") for row in rows) >= ended:
            return rows
        if monotonic() > deadline:
            return rows
        await asyncio.sleep(0.5)
