"""Rebuilds the tables: the log once more into fresh tables, what differs, and the fresh ones in place of the old.

The projector may run all the while. It waits only while the last few records are read and the tables are compared
and swapped, and goes on behind them: the places in the log are swapped in the same transaction as the rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import inspect

from events.topics import Topic
from infra.settings import Settings
from infra.storage.comparing import Difference, compare
from infra.storage.fresh import Places, RebuildRefused, fresh_tables
from infra.storage.offsets import Partition
from infra.storage.swap import other_lives, places_of, put_in_place, standing_still
from schemas.tables import projected_offsets

from .log_epoch import read_epoch
from .projector import PROJECTED
from .replay import Progress, Replay
from .topics import partition_counts

#: How much may be left to read while the projector waits, and how often it is tried to get there.
_FEW = 5000
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found and did.

    Attributes:
        tables: every table, the places in the log last.
        swapped: the tables are now what the log says.
        refused: why they are not, where something would have been lost by it.
        trimmed: topics of which the broker no longer has the beginning.
        other_lives: other lives of the log that the tables were made of as well.
    """

    epoch: str
    tables: list[Difference]
    swapped: bool
    refused: str | None
    trimmed: list[str]
    other_lives: list[str]
    records: int
    unprojectable: int
    seconds: float

    @property
    def identical(self) -> bool:
        return all(table.identical for table in self.tables)


def _nothing(progress: Progress) -> None: ...


async def rebuild(
    settings: Settings,
    *,
    dry_run: bool = False,
    drop_unknown: bool = False,
    told: Callable[[Progress], None] = _nothing,
) -> Rebuilt:
    """Replays the log beside the tables, compares both, and puts the new ones in place.

    Args:
        dry_run: compare only.
        drop_unknown: also swap if rows vanish that the log tells nothing of, or know less afterwards.

    Raises:
        BrokerUnreachable: there is no broker.
        RebuildRefused: there is nothing to rebuild from, or not now.
        sqlalchemy.exc.DBAPIError: the database cannot be reached or refuses.
    """
    begun = monotonic()
    settings.make_data_dir()
    epoch, partitions = await _the_log(settings)
    async with (
        fresh_tables(settings.database) as places,
        Replay(settings, places.fresh, epoch, partitions, told) as replay,
    ):
        await _come_close(places, replay, epoch)
        async with standing_still(places) as connection:
            live = await places_of(connection, epoch)
            await replay.up_to(_ends(replay, live))
            if await read_epoch(settings) != epoch:
                raise RebuildRefused("the log was begun anew while it was read: nothing was changed, try again")
            trimmed, lives = replay.trimmed(), await other_lives(connection, epoch)
            tables = await compare(connection, epoch, trimmed)
            refused = None if drop_unknown else _would_be_lost(tables, sorted(trimmed), lives)
            if swapped := not dry_run and refused is None:
                await put_in_place(connection, live, trimmed)
                await connection.commit()
        return Rebuilt(
            epoch, tables, swapped, refused, sorted(trimmed), lives, replay.records, replay.unprojectable,
            monotonic() - begun,
        )  # fmt: skip


async def _the_log(settings: Settings) -> tuple[str, list[Partition]]:
    """Its life's name and its partitions. Asks for no topic that is not there: a broker may make one of a question."""
    counts = await partition_counts(settings)
    epoch = await read_epoch(settings) if Topic.LOG in counts else None
    if epoch is None:
        raise RebuildRefused(f"{settings.bootstrap_servers} has no log of this system: nothing was ever projected")
    return epoch, [(topic, number) for topic in PROJECTED for number in range(counts.get(topic, 0))]


async def _come_close(places: Places, replay: Replay, epoch: str) -> None:
    """Reads what the projector has read; while it goes on, what it has read since, until little is left."""
    for _ in range(_ROUNDS):
        live = await _live_places(places, epoch)
        await replay.up_to(_ends(replay, live))
        live = await _live_places(places, epoch)
        if sum(max(0, live.get(partition, 0) - next_) for partition, next_ in replay.next.items()) <= _FEW:
            return


async def _live_places(places: Places, epoch: str) -> dict[Partition, int]:
    async with places.live.connect() as connection:
        name, schema = projected_offsets.name, places.live_schema
        there = await connection.run_sync(lambda sync: inspect(sync).has_table(name, schema))
        return await places_of(connection, epoch) if there else {}


def _ends(replay: Replay, live: Mapping[Partition, int]) -> dict[Partition, int | None]:
    """As far as the tables in use have come; in partitions that they do not know, as far as the log went at first."""
    return {
        partition: live.get(partition, None if partition not in replay.begins else next_)
        for partition, next_ in replay.next.items()
    }


def _would_be_lost(tables: list[Difference], trimmed: list[str], lives: list[str]) -> str | None:
    lost = {table.table: table.lost for table in tables if table.lost}
    if not lost:
        return None
    reasons = [f"the broker no longer has the beginning of {topic}" for topic in trimmed]
    if lives:
        reasons.append(f"the tables were made of another life of the log as well ({', '.join(lives)})")
    told = ", ".join(f"{table}: {count:,}" for table, count in lost.items())
    because = " and ".join(reasons) or "no record of the log tells of them"
    return f"{sum(lost.values()):,} rows would vanish or know less ({told}), for {because}"
