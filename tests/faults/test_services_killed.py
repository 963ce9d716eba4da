"""kill -9 of the services around a job: of the warm server, the projector, the API; MLflow is away. The job runs on."""

import signal
from pathlib import Path

import httpx
import psutil
import pytest
from support.services import Services, running_services, until_logged

from infra.cli.checks import examine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_a_job_does_not_notice_who_dies_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Besides, MLflow is away all the time: nobody is at the port «discard».
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    async with running_services(tmp_path, "agent noop", "projector", "api", "registrar") as services:
        house = services.house
        await house.ask("ml.noop.requested", "running", duration_s=10, steps=100)
        await house.heard("ml.job.progressed", "running")

        # The projector may be behind: what it has not written down nobody can read once it is gone.
        await services.get("/api/ml/jobs/running/status", lambda job: job.get("status") == "running")
        warm_server(services).kill()
        await services.stop("projector", signal.SIGKILL)
        told = await services.get("/api/ml/jobs/running/status", lambda job: job["status"] in ("pending", "running"))
        assert told["job_id"] == "running", "the API reads without a projector"

        await services.stop("api", signal.SIGKILL)
        with pytest.raises(httpx.ConnectError):
            await services.get("/healthz")
        (finding,) = [found for found in await examine(services.settings) if found.name == "API"]
        assert "omniscope-ml up" in (finding.remedy or "")

        await services.start("projector", "projector")
        await services.start("api", "api")
        end = await house.ended("running")
        assert (end.name, end.data["attempt"]) == ("ml.job.completed", 1)
        for job_id in ("next", "one-more"):  # the first may find a process that was forked before
            await house.ask("ml.noop.requested", job_id)
            assert (await house.ended(job_id)).name == "ml.job.completed"
        assert warm_server(services).is_running()
        for job_id in ("running", "next", "one-more"):
            told = await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")
            assert (told["attempt"], told["progress"]) == (1, 100)
        await until_logged(tmp_path / "registrar.log", "waiting_out what=MLflow")
        assert services.processes["registrar"].returncode is None, "the registrar gave up"
        starts = [event.subject for event in house.events if event.name == "ml.job.started"]
        assert sorted(starts) == ["next", "one-more", "running"]


def warm_server(services: Services) -> psutil.Process:
    agent = psutil.Process(services.processes["agent noop"].pid)
    (found,) = [child for child in agent.children() if "infra.execution.warm" in child.cmdline()]
    return found
