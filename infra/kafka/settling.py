"""Read records → committed rows. Each record ends in the tables or among the dead letters, whatever happens."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncEngine

from events.dead_letters import DeadLetter
from events.errors import ReasonCode
from infra.storage import offsets, upserts
from infra.storage.database import is_poison
from infra.storage.offsets import Fenced, Partition
from schemas.projection import Record, Write, project

from .burial import Burial
from .outage import Outage

Ranges = dict[Partition, tuple[int, int]]
"""Partition → (first, last) offset of what was read."""

Change = tuple[Record, list[Write]]
"""A record and what it changes."""


class Settler:
    """Commits what records change together with the offsets, and puts aside what cannot be projected."""

    def __init__(self, engine: AsyncEngine, burial: Burial, *, database: Outage) -> None:
        self._engine = engine
        self._burial = burial
        self._database = database

    async def settle(self, epoch: str, records: list[Record]) -> Ranges:
        """Settles records that follow each other in every partition; returns what is behind us now.

        Raises:
            Fenced: somebody else has settled some of them; nothing of the rest was written.
        """
        changes: list[Change] = []
        for record in records:
            try:
                found = project(record)
            except Exception as error:  # noqa: BLE001 - one bad record must not keep all others from the tables
                found = await self._give_up(record, error)
            if isinstance(found, DeadLetter):
                await self._burial.bury(found)  # before the offsets move on: put aside twice is one row, lost is lost
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
        await self._commit_all(epoch, [(record, await self._give_up(record, poison))])

    async def _give_up(self, record: Record, error: Exception) -> list[Write]:
        cause = error.__cause__ or error
        told = f"the record cannot be projected ({type(cause).__name__}): see the log"
        await self._burial.bury(record.dead_letter(ReasonCode.INTERNAL_ERROR, told), cause)
        return []

    async def _commit(self, epoch: str, changes: list[Change]) -> None:
        try:
            async with self._engine.begin() as connection:
                await offsets.advance(connection, epoch, _ranges(record for record, _ in changes))
                await upserts.apply(connection, (write for _, writes in changes for write in writes))
        except Exception as error:
            if is_poison(error):
                raise _Poison from error
            raise


class _Poison(Exception):
    """The database refuses a value, and always will."""


def _ranges(records: Iterable[Record]) -> Ranges:
    found: Ranges = {}
    for record in records:
        place = record.place
        first, _ = found.get((place.topic, place.partition), (place.offset, 0))
        found[place.topic, place.partition] = (first, place.offset)
    return found
