"""Read records → committed rows. Each record ends in the tables or among the dead letters, whatever happens."""

import traceback
from collections.abc import Iterable
from dataclasses import replace

import structlog
from aiokafka.errors import MessageSizeTooLargeError
from sqlalchemy.ext.asyncio import AsyncEngine

from events.dead_letters import DeadLetter
from events.errors import ReasonCode
from infra.jobs.ports import Outcomes
from infra.storage import offsets, upserts
from infra.storage.database import is_poison
from infra.storage.offsets import Fenced, Partition
from schemas.projection import Record, Write, project

from .outage import Outage

log = structlog.get_logger(__name__)

Ranges = dict[Partition, tuple[int, int]]
"""Partition → (first, last) offset of what was read."""

Change = tuple[Record, list[Write]]
"""A record and what it changes."""


class Settler:
    """Commits what records change together with the offsets, and puts aside what cannot be projected."""

    def __init__(self, engine: AsyncEngine, outcomes: Outcomes, *, database: Outage, broker: Outage) -> None:
        self._engine = engine
        self._outcomes = outcomes
        self._database = database
        self._broker = broker

    async def settle(self, epoch: str, records: list[Record]) -> Ranges:
        """Settles records that follow each other in every partition; returns what is behind us now.

        Raises:
            Fenced: somebody else has settled some of them; nothing of the rest was written.
        """
        changes: list[Change] = []
        for record in records:
            found = _projected(record)
            if isinstance(found, DeadLetter):
                await self._bury(found)  # before the offsets move on: put aside twice is one row, lost is lost
                found = []
            changes.append((record, found))
        await self._commit_all(epoch, changes)
        return _ranges(records)

    async def _commit_all(self, epoch: str, changes: list[Change]) -> None:
        try:
            await self._database.wait_out(lambda: self._commit(epoch, changes), unless=(Fenced, _Poison))
        except _Poison as poison:
            await self._find_poison(epoch, changes, poison)

    async def _find_poison(self, epoch: str, changes: list[Change], poison: Exception) -> None:
        """By halves, so that one bad record among thousands costs a few small transactions and no other record."""
        if len(changes) > 1:
            middle = len(changes) // 2
            await self._commit_all(epoch, changes[:middle])
            await self._commit_all(epoch, changes[middle:])
            return
        ((record, _),) = changes
        await self._bury(_unprojectable(record, poison))
        await self._commit_all(epoch, [(record, [])])

    async def _commit(self, epoch: str, changes: list[Change]) -> None:
        try:
            async with self._engine.begin() as connection:
                await offsets.advance(connection, epoch, _ranges(record for record, _ in changes))
                await upserts.apply(connection, (write for _, writes in changes for write in writes))
        except Exception as error:
            if is_poison(error):
                raise _Poison from error
            raise

    async def _bury(self, letter: DeadLetter) -> None:
        place = f"{letter.topic}[{letter.partition}] at offset {letter.offset}"
        log.warning("put_aside", record=place, reason=letter.reason, message=letter.message)
        try:
            await self._broker.wait_out(lambda: self._outcomes.bury(letter), unless=MessageSizeTooLargeError)
        except MessageSizeTooLargeError:
            short = replace(letter, value=None, message=f"{letter.message} (too large to repeat here: see {place})")
            await self._broker.wait_out(lambda: self._outcomes.bury(short))


class _Poison(Exception):
    """The database refuses a value, and always will."""


def _projected(record: Record) -> list[Write] | DeadLetter:
    try:
        return project(record)
    except Exception as error:  # noqa: BLE001 - one bad record must not keep all others from the tables
        return _unprojectable(record, error)


def _unprojectable(record: Record, error: Exception) -> DeadLetter:
    cause, place = error.__cause__ or error, record.place
    log.error(
        "unprojectable",
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        # As text: a logger that shows the values of variables would show the record.
        traceback="".join(traceback.format_exception(cause)),
    )
    return record.dead_letter(
        ReasonCode.INTERNAL_ERROR, f"the record cannot be projected ({type(cause).__name__}): see the log"
    )


def _ranges(records: Iterable[Record]) -> Ranges:
    found: Ranges = {}
    for record in records:
        place = record.place
        first, _ = found.get((place.topic, place.partition), (place.offset, 0))
        found[place.topic, place.partition] = (first, place.offset)
    return found
