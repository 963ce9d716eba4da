"""The database is locked, or away: jobs do not notice, and afterwards the tables hold all of them."""

import asyncio
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.postgres import running_postgres, start_postgres, stop_postgres
from support.services import Services, running_services, until_logged

from infra.cli.checks import examine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def doctor(services: Services, name: str) -> Any:
    return next(finding for finding in await examine(services.settings) if finding.name == name)


async def done(services: Services, *job_ids: str) -> None:
    """Returns when the API says that they are."""
    for job_id in job_ids:
        await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")


async def test_a_database_that_is_locked_or_removed_holds_up_the_tables_and_no_job(tmp_path: Path) -> None:
    async with running_services(tmp_path, "agent noop", "projector", "api") as services:
        house = services.house
        await house.ask("ml.noop.requested", "before")
        await house.ended("before")
        await done(services, "before")
        holder = sqlite3.connect(services.settings.data_dir / "omniscope.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        await house.ask("ml.noop.requested", "meanwhile")
        assert (await house.ended("meanwhile")).name == "ml.job.completed"
        # Who only reads is not locked out: he sees what was there.
        listed = await services.get("/api/ml/jobs")
        assert [job["job_id"] for job in listed["items"]] == ["before"]
        assert (await doctor(services, "database")).ok
        holder.execute("ROLLBACK")
        holder.close()
        await done(services, "before", "meanwhile")

        for file in services.settings.data_dir.glob("omniscope.db*"):
            file.unlink()
        assert "omniscope-ml up" in ((await doctor(services, "database")).remedy or "")
        await house.ask("ml.noop.requested", "then")
        assert (await house.ended("then")).name == "ml.job.completed"
        # Nobody goes on with a file that is no more: they say so until the projector has made another.
        refused = await services.get("/api/ml/jobs")
        assert (refused["status"], refused["reason"]) == (503, "database_unavailable")
        await until_logged(tmp_path / "projector.log", "waiting_out what=the database")

        await services.stop("projector", signal.SIGKILL)
        await services.start("projector", "projector")
        await done(services, "before", "meanwhile", "then")
        assert (await doctor(services, "database")).ok


async def test_a_postgres_that_goes_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_postgres() as address:
        monkeypatch.setenv("DATABASE_URL", address)
        async with running_services(tmp_path, "agent noop", "projector", "api") as services:
            house = services.house
            await house.ask("ml.noop.requested", "before", duration_s=2, steps=20)
            await house.heard("ml.job.progressed", "before")
            await asyncio.to_thread(stop_postgres, address)
            assert (await house.ended("before")).name == "ml.job.completed"
            await house.ask("ml.noop.requested", "meanwhile")
            assert (await house.ended("meanwhile")).name == "ml.job.completed"
            refused = await services.get("/api/ml/jobs")
            assert (refused["status"], refused["reason"]) == (503, "database_unavailable")
            await asyncio.to_thread(start_postgres, address)
            await done(services, "before", "meanwhile")
            log = (tmp_path / "projector.log").read_text()
            assert log.count("waiting_out what=the database") == 1
