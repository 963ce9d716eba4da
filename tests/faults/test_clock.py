"""The wall clock is set, forward and back, while jobs run: what is timed by it, and what is not."""

from pathlib import Path

import pytest
from support.services import running_services
from support.wall_clock import wall_clock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DAY_S = 24 * 3600


async def test_no_job_ends_sooner_or_later_because_the_clock_was_set(tmp_path: Path) -> None:
    with wall_clock(tmp_path) as clock:
        async with running_services(tmp_path) as services:
            for name in ("agent noop", "projector", "api"):
                await services.start(name, *name.split(), **clock.environment)
            house = services.house
            await house.ask("ml.noop.requested", "running", duration_s=5, steps=50, timeout_s=600)
            await house.heard("ml.job.progressed", "running")
            clock.jump(DAY_S)
            told = await services.get("/api/ml/jobs")
            assert (told["status"], told["reason"]) == (401, "token_invalid")
            assert "expired" in told["detail"]
            clock.jump(-DAY_S)
            told = await services.get("/api/ml/jobs")
            assert "compare the clocks" in told["detail"]
            end = await house.ended("running")
            assert (end.name, end.data["attempt"]) == ("ml.job.completed", 1)

            await house.ask("ml.noop.requested", "after", duration_s=0.1, timeout_s=600)
            assert (await house.ended("after")).data["attempt"] == 1
            clock.jump(0)
            for job_id in ("running", "after"):
                told = await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")
                assert (told["stalled"], told["error"]) == (False, None)
            assert house.letters == []
            starts = [event.subject for event in house.events if event.name == "ml.job.started"]
            assert starts == ["running", "after"]
