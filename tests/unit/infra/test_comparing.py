"""Tables beside their fresh twins: every difference is counted, named, and gone after the swap."""

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from support.databases import apply_all, empty, rows_of
from support.histories import Log, letter
from support.postgres import running_postgres
from support.whole_log import everything

from events.topics import Topic
from infra.storage import comparing
from infra.storage.comparing import Difference, compare
from infra.storage.fresh import FRESH, Places, RebuildRefused, fresh_tables
from infra.storage.offsets import load
from infra.storage.swap import put_in_place, standing_still
from schemas.projection import Record, Rule, project, rules


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def places(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Places]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
    async with fresh_tables(url) as made:
        await empty(made.live)
        yield made


def storable(log: Log) -> list[Record]:
    """What the database takes."""
    return [r for r in log.records if isinstance(project(r), list) and r.value and str(2**70).encode() not in r.value]


async def compared(places: Places, **trimmed: datetime) -> dict[str, Difference]:
    async with standing_still(places) as connection:
        return {found.table: found for found in await compare(connection, "epoch-1", trimmed)}


def test_every_rule_has_its_fresh_table() -> None:
    known = {rule.table.name for rule in vars(rules).values() if isinstance(rule, Rule)}
    assert {rule.table.name for rule in rules.ALL} == known
    assert set(FRESH) == known | {"projected_offsets"}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_is_missing_comes_and_whatever_is_too_much_goes(places: Places, seed: int) -> None:
    records, drawn = storable(everything()), random.Random(seed)
    ours, theirs = ([r for r in records if drawn.random() < 0.7] for _ in range(2))
    await apply_all(places.live, ours)
    await apply_all(places.fresh, theirs)
    found = await compared(places)
    async with standing_still(places) as connection:
        await put_in_place(connection, {}, {})
        await connection.commit()

    new = await rows_of(places.fresh, without=("audit_log",))
    assert await rows_of(places.live, without=("audit_log",)) == new
    assert {table: difference.rows_after for table, difference in found.items()} == {
        table: len(rows) for table, rows in new.items()
    }
    assert any(not difference.identical for difference in found.values())
    assert all(difference.identical for difference in (await compared(places)).values())


CHANGES = {
    ("training_jobs", "model_id", "NULL"),  # something → nothing
    ("training_jobs", "error", "''"),  # nothing → something
    ("training_jobs", "request", "'{}'"),
    ("training_jobs", "completed_at", "'2026-03-01 12:00:25.000001'"),
    ("ml_models", "hyperparameters", "'[]'"),
    ("explanations", "feature_importance", "'{\"age\": 0.4000000000000001}'"),
    ("datasets", "name", "'cohort'"),  # upper and lower case
    ("job_events", "seq", "77"),
}


async def test_any_value_of_any_type_is_compared(places: Places) -> None:
    records = storable(everything())
    await apply_all(places.live, records)
    await apply_all(places.fresh, records)
    for table, column, value in sorted(CHANGES):
        one = "SELECT min(id) FROM " + table + (" WHERE model_id IS NOT NULL" if table == "training_jobs" else "")
        async with places.live.begin() as connection:
            await connection.execute(text(f"UPDATE {table} SET {column} = {value} WHERE id = ({one})"))
        found = {name: (one.different, one.columns) for name, one in (await compared(places)).items() if one.different}
        assert found == {table: (1, {column: 1})}
        async with standing_still(places) as connection:
            await put_in_place(connection, {}, {})
            await connection.commit()


async def test_bytes_are_compared_and_a_few_keys_are_named(places: Places) -> None:
    log = Log()
    for offset in range(8):
        log.bury(letter(offset))
    await apply_all(places.live, log.records)
    await apply_all(places.fresh, log.records)
    async with places.live.begin() as connection:
        bytes_ = "'\\x7b'::bytea" if connection.dialect.name == "postgresql" else "x'7b'"
        await connection.execute(text(f"UPDATE dead_letters SET key = {bytes_} WHERE partition = 1"))
    found = (await compared(places))["dead_letters"]
    assert (found.different, found.columns) == (8, {"key": 8})
    keys = [["epoch-1", "omniscope.ml.automl.requested", 1, offset] for offset in range(comparing._EXAMPLES)]
    assert found.examples == {"different": keys}


async def test_history_older_than_what_the_broker_keeps_stays(places: Places) -> None:
    records = storable(everything())
    await apply_all(places.live, records)
    await apply_all(places.fresh, [r for r in records if r.place.topic not in (Topic.PROGRESS, Topic.JOBS)])
    before = (await rows_of(places.live))["job_events"]
    ever, never = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    found = await compared(places, **{Topic.PROGRESS: ever, Topic.JOBS: never})
    assert (found["job_events"].kept, found["job_events"].only_before) == (24, 14)
    async with standing_still(places) as connection:
        await put_in_place(connection, {}, {Topic.PROGRESS: ever, Topic.JOBS: never})
        await connection.commit()
    assert (await rows_of(places.live))["job_events"] == [r for r in before if r["type"] == "ml.job.progressed"]


async def test_fresh_tables_that_hold_less_than_the_places_say_are_not_taken(places: Places) -> None:
    await apply_all(places.live, storable(everything()))
    async with places.fresh.begin() as connection:
        await load(connection, "epoch-1", [("a", 0)])
    before = await rows_of(places.live, without=())
    async with standing_still(places) as connection:
        with pytest.raises(RebuildRefused, match="lost its end"):
            await put_in_place(connection, {("a", 0): 1}, {})
    assert await rows_of(places.live, without=()) == before
