"""The store takes nothing for a while, or holds what nobody can read: jobs wait or are put aside, none is lost."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.plain_rights import make_read_only, make_writable
from support.services import Services, running_services, until_logged

from events.envelope import headers_of
from events.topics import Topic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def doctor(services: Services) -> dict[str, Any]:
    """What `doctor` says of the store, with the rights that the worker has."""
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.plain_rights", "doctor", "--json"),
        env=services.environment,
        stdout=subprocess.PIPE,
    )
    printed, _ = await asked.communicate()
    return next(finding for finding in json.loads(printed) if finding["name"] == "store")


async def test_a_store_that_is_read_only_for_a_while_costs_nothing_but_time(tmp_path: Path) -> None:
    async with running_services(tmp_path, "projector", "api") as services:
        await services.start("agent", "agent", "noop", module="support.plain_rights")
        house, store = services.house, services.settings.data_dir / "artifacts"
        await house.ask("ml.noop.requested", "running", duration_s=3, steps=30)
        await house.heard("ml.job.progressed", "running")
        make_read_only(store)
        try:
            await house.ask("ml.noop.requested", "asked-meanwhile")
            told = await services.get("/api/ml/jobs/asked-meanwhile/status", lambda job: job)
            assert (told["status"], told["message"]) == ("pending", "Waiting for a worker")
            told = await services.get("/api/ml/jobs/running/status", lambda job: job["progress"] == 100)
            assert (told["status"], told["stalled"]) == ("running", False)
            await until_logged(tmp_path / "agent.log", "trying_again what=create jobs/running/outcome.json")
            found = await doctor(services)
            assert not found["ok"]
            assert "ARTIFACTS_URI" in found["remedy"]
        finally:
            make_writable(store)
        for job_id in ("running", "asked-meanwhile"):
            end = await house.ended(job_id)
            assert (end.name, end.data["attempt"]) == ("ml.job.completed", 1)
            await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")
        assert sum(event.name == "ml.job.started" for event in house.events) == 2
        assert (await doctor(services))["ok"]
        assert house.letters == []


async def test_a_job_whose_record_is_damaged_says_so_and_runs_when_it_is_repaired(tmp_path: Path) -> None:
    async with running_services(tmp_path, "agent noop", "projector", "api") as services:
        house, jobs = services.house, services.settings.data_dir / "artifacts" / "jobs"
        asked = {}
        for name in ("request.json", "outcome.json"):
            job_id = f"damaged-{name}"
            (jobs / job_id).mkdir(parents=True)
            (jobs / job_id / name).write_text('{"content_sha')
            asked[job_id] = await house.ask("ml.noop.requested", job_id)
        await house.ask("ml.noop.requested", "behind-them")
        assert (await house.ended("behind-them")).name == "ml.job.completed"

        for job_id in asked:
            told = await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: "Put aside" in job["message"])
            assert told["status"] == "pending"
            assert f"jobs/{job_id}/{job_id.removeprefix('damaged-')} in the store is damaged" in told["message"]
            assert "dlq redrive" in told["message"]
        letters = {str(letter.key, "ascii"): letter for letter in house.letters}
        assert {letter.reason for letter in letters.values()} == {"store_damaged"}

        for job_id, event in asked.items():
            assert letters[job_id].value == event.to_bytes()
            shutil.rmtree(jobs / job_id)
            await house.send(Topic.NOOP, letters[job_id].value, letters[job_id].key, headers_of(event))  # a redrive
            assert (await house.ended(job_id)).name == "ml.job.completed"
            told = await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")
            assert told["error"] is None
