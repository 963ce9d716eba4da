"""Opening and migrating the read model."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError
from support.databases import apply_all, writes_of
from support.histories import Log, progressed, request
from support.postgres import running_postgres

from infra.storage import database
from infra.storage.database import is_poison, migrate, open_engine
from infra.storage.offsets import Fenced, advance, load, rewind_beyond
from infra.storage.upserts import apply
from schemas.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    else:
        with running_postgres() as address:
            yield address


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_exactly_the_tables(url: str) -> None:
    await migrate(url)
    await migrate(url)  # nothing is left to do
    engine = open_engine(url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)
        made = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    await engine.dispose()

    assert differences == []
    assert made == {*metadata.tables, "alembic_version"}


async def test_eight_processes_migrate_a_fresh_database_at_once(url: str) -> None:
    program = "import asyncio, sys; from infra.storage.database import migrate; asyncio.run(migrate(sys.argv[1]))"
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    said = [(await process.communicate())[1].decode() for process in processes]

    assert [process.returncode for process in processes] == [0] * 8, said


async def test_sqlite_is_set_up_for_readers_beside_one_writer(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'read.db'}")
    async with engine.connect() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    await engine.dispose()

    assert found == ["wal", 1, 1, database.BUSY_S * 1000]


def test_another_database_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"DATABASE_URL begins with mysql://: use sqlite\+aiosqlite"):
        open_engine("mysql://somewhere/db")


async def test_values_that_never_fit_are_told_from_outages(url: str) -> None:
    await migrate(url)
    engine = open_engine(url)
    log = Log()
    bad = [
        log.add("ml.job.progressed", progressed(job_id="huge", seq=2**70)),
        log.add("ml.automl.requested", request(job_id="nan", hyperparameters=1)),
    ]
    bad_writes = [writes_of([bad[0]]), writes_of([bad[1]])]
    bad_writes[1][0].row["request"] = {"x": float("nan")}
    bad_writes.append(writes_of([bad[1]]))
    bad_writes[2][0].row["request"] = None

    for writes in bad_writes:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver has its own
            async with engine.begin() as connection:
                await apply(connection, writes)
        assert is_poison(caught.value), repr(caught.value)

    await apply_all(engine, [log.add("ml.automl.requested", request())])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver has its own
        async with engine.begin() as connection:
            await connection.execute(text("SELECT * FROM no_such_table"))
    assert not is_poison(caught.value)
    await engine.dispose()


async def test_a_locked_database_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    url = f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    await migrate(url)
    engine = open_engine(url)
    async with engine.connect() as holder:
        await holder.exec_driver_sql("BEGIN EXCLUSIVE")
        with pytest.raises(OperationalError, match="locked") as caught:
            async with engine.begin() as connection:
                await load(connection, "epoch", [("topic", 0)])
    await engine.dispose()

    assert not is_poison(caught.value)


async def test_offsets_move_over_gaps_but_never_back(url: str) -> None:
    await migrate(url)
    engine = open_engine(url)
    here = ("topic", 0)
    async with engine.begin() as connection:
        assert await load(connection, "epoch", [here, ("topic", 1)]) == {here: 0, ("topic", 1): 0}
        await advance(connection, "epoch", {here: (3, 9)})
        await advance(connection, "epoch", {here: (10, 10)})
    with pytest.raises(Fenced):
        async with engine.begin() as connection:
            await advance(connection, "epoch", {("topic", 1): (0, 4), here: (10, 12)})
    async with engine.begin() as connection:
        assert await load(connection, "epoch", [here, ("topic", 1)]) == {here: 11, ("topic", 1): 0}
        assert await load(connection, "another life", [here]) == {here: 0}
        assert not await rewind_beyond(connection, "epoch", here, 11)
        assert await rewind_beyond(connection, "epoch", here, 10)
        assert await load(connection, "epoch", [here]) == {here: 0}
    await engine.dispose()
