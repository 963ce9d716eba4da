"""The embedded broker with a log that outlives it: restored before anybody is told that it is ready, then followed."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from events.topics import TOPICS, Topic
from infra.jobs.ports import StoreError
from infra.jobs.retries import PatientStore, patiently
from infra.jobs.revival import revive
from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.outcomes import KafkaOutcomes
from infra.kafka.topics import ensure_topics
from infra.settings import Settings
from infra.storage.store import ObjectStore

from .following import Follower
from .journal import Journal
from .journal_file import JournalError
from .plain_client import PlainClient
from .restore import Disturbed, restore
from .server import BrokerError, EmbeddedBroker

log = structlog.get_logger(__name__)

_TRIES = 5
_BROKER_WAIT_S = 30.0
#: How long the last records may take to be written down.
_LAST_WRITING_S = 5.0


async def keep(settings: Settings, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Runs the embedded broker until `stop` is set; `ready` is called when its log is back.

    Raises:
        JournalError: what was written down cannot be used.
        BrokerError: the broker cannot be started, or died, or others used it before it was ready.
        TopicsError: the topics are not as they must be.
    """
    settings.make_data_dir()
    journal = await asyncio.to_thread(Journal.open, settings.broker_journal)
    with closing(journal):
        await asyncio.to_thread(_trim, journal)
        async with _restored(settings, journal) as (server, client):
            await _serve(settings, journal, server, client, stop, ready)


def _trim(journal: Journal) -> None:
    """This broker keeps everything for ever; what need not be kept is not restored."""
    now_ms = time.time_ns() // 1_000_000
    for spec in TOPICS:
        if spec.retention_ms >= 0 and (gone := journal.trim(spec.name, now_ms - spec.retention_ms)):
            log.info("log_trimmed", topic=spec.name.value, offsets=gone)


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of the log; see `infra.jobs.revival.Log`."""

    journal: Journal
    epoch: str
    complete_until: float

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        return self.journal.holds(topic, partition, offset)


@asynccontextmanager
async def _restored(settings: Settings, journal: Journal) -> AsyncIterator[tuple[EmbeddedBroker, PlainClient]]:
    """A broker with the log in it. One that others disturbed meanwhile is thrown away, and the next one is tried."""
    for attempt in range(1, _TRIES + 1):
        server = EmbeddedBroker(settings.embedded_kafka_port, settings.data_dir / "logs" / "broker-server.log")
        async with server, PlainClient(settings) as client:
            began = time.monotonic()
            try:
                offsets = await restore(settings, journal, client)
            except Disturbed as why:
                journal.end(well=False)  # what it had taken meanwhile is gone with it
                await client.close()
                await server.kill()
                log.warning("log_disturbed", why=str(why), attempt=attempt, remedy="start publishers after «Ready»")
                continue
            log.info("log_restored", offsets=offsets, seconds=round(time.monotonic() - began, 2))
            yield server, client
            return
    raise BrokerError(
        f"the broker's log could not be brought back in {_TRIES} tries, because somebody published at "
        f"{settings.bootstrap_servers} before it was back: start publishers after «Ready», and start this again"
    )


async def _serve(
    settings: Settings,
    journal: Journal,
    server: EmbeddedBroker,
    client: PlainClient,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Follows the log from before anybody is told of it until after everything was stopped."""
    nothing_lost = journal.ended_well and journal.holds(Topic.LOG, 0, 0)
    complete_until = journal.complete_ms / 1000 or math.inf  # a new journal is the beginning: nothing came before
    journal.end(well=False)
    follower, leave = Follower(client, journal), asyncio.Event()
    following = asyncio.create_task(follower.run(leave))
    unsure = None if nothing_lost else (journal, complete_until)
    settled = asyncio.create_task(_settle(settings, follower, unsure, ready))
    asked, ended = asyncio.create_task(stop.wait()), asyncio.create_task(server.wait())
    try:
        await _first(asked, ended, following, settled)
        if settled.done():
            settled.result()
            await _first(asked, ended, following)
        if ended.done() and not stop.is_set():
            raise BrokerError(f"the embedded broker ended by itself with exit code {ended.result()}")
        leave.set()
        await asyncio.wait([following], timeout=_LAST_WRITING_S)  # a full disk must not hold up the end
        if following.done():
            following.result()
        else:
            await _end(following)
        await _write_the_rest(journal, follower, well=follower.vouches)
    finally:
        await _end(settled, asked, ended, following)
        await client.close()
        await server.kill()  # at once: what comes in from now on is not written down


async def _settle(
    settings: Settings, follower: Follower, unsure: tuple[Journal, float] | None, ready: Callable[[], None]
) -> None:
    """What must be so before anybody works: what was skipped is on disk, topics, the log's name, what was lost told."""
    await follower.caught_up.wait()
    await ensure_topics(settings, wait_s=_BROKER_WAIT_S)
    epoch = await ensure_epoch(settings)
    if unsure is not None:
        objects = ObjectStore.open(settings.artifacts)
        written: dict[str, float] = {}
        for folder in ("jobs", "datasets", "deletions"):
            written |= await patiently(partial(objects.written, folder), f"list {folder}", only=StoreError)
        async with KafkaOutcomes(settings) as outcomes:
            await revive(PatientStore(objects), outcomes, _Left(unsure[0], epoch, unsure[1]), written)
    follower.vouches = True
    ready()


async def _write_the_rest(journal: Journal, follower: Follower, *, well: bool) -> None:
    try:
        async with asyncio.timeout(_LAST_WRITING_S):
            await follower.drain()
            journal.end(well=well)
    except (TimeoutError, KafkaError, JournalError) as error:
        log.error("journal_incomplete", file=str(journal.path), error=f"{type(error).__name__}: {error}")


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
