"""The registrar's store on PostgreSQL: made, written and found again through the driver that comes with us."""

import asyncio
import warnings
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.histories import Log, ended, model, request, started
from support.postgres import running_postgres
from support.tracking import recording, runs_by_job

from infra.settings import Settings
from infra.tracking.tracking_store import open_tracking_store
from schemas.projection import Record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def finished(log: Log) -> list[Record]:
    return [
        log.add("ml.job.started", started("job")),
        log.add("ml.model.completed", model("model", "job", validation_score=0.9, training_config=request("job"))),
        log.add("ml.job.completed", ended("job", model_id="model")),
    ]


async def test_a_job_becomes_a_run_and_a_version(tmp_path: Path) -> None:
    with running_postgres() as address:
        (folder,) = parse_qs(urlsplit(address).query)["host"]
        told = f"postgresql://test@/postgres?unix_sock={folder}/.s.PGSQL.5432"
        settings = Settings(data_dir=tmp_path / "data", mlflow_tracking_uri=told)
        with warnings.catch_warnings():  # MLflow warns about its own type hints when it is imported
            warnings.simplefilter("ignore")
            store = await asyncio.to_thread(open_tracking_store, settings)
        log = Log()
        async with recording(store, settings) as house:
            assert await house.tell(finished(log)) == []
        run = runs_by_job(store)["job"]
        assert run.info.status == "FINISHED"
        challenger = store.client.get_model_version_by_alias("cohort.outcome", "challenger")
        assert challenger.tags["model_id"] == "model"
