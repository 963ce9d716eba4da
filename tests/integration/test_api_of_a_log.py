"""The log, projected for good, and read through the API: in any order of arrival, every address has an answer."""

import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy.ext.asyncio import AsyncEngine
from support import histories
from support.clients import client_of
from support.databases import apply_all
from support.histories import Log
from support.postgres import running_postgres
from support.rows import fill, job_row

from infra.api import tokens
from infra.api.app import create_app
from infra.settings import Settings
from infra.storage.database import migrate, open_engine
from schemas.tables import training_jobs

READ = {
    "/api/ml/jobs": "JobPage",
    "/api/ml/models/list": "ModelPage",
    "/api/ml/datasets": "DatasetPage",
    "/api/ml/jobs/job-1/status": "JobView",
    "/api/ml/jobs/job-2/status": "JobView",
    "/api/ml/jobs/job-3/status": "JobView",
    "/api/ml/models/model-1/results": "ModelResults",
    "/api/ml/models/model-2/results": "ModelResults",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("database")
    secret = "a secret that is long enough for HS256"
    if request.param == "sqlite":
        yield Settings(data_dir=folder, api_jwt_secret=secret)
        return
    with running_postgres() as url:
        yield Settings(data_dir=folder, api_jwt_secret=secret, database_url=url)


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    await migrate(settings.database)
    opened = open_engine(settings.database)
    yield opened
    await opened.dispose()


@pytest.fixture
async def client(settings: Settings, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(settings, engine), tokens.issue(settings, "ada")) as opened:
        yield opened


def a_log() -> Log:
    """Two jobs that end well and one that does not, a model that is promoted and one that is deleted."""
    log = Log()
    log.add("datasets.uploaded", {"dataset_id": "cohort", "uri": "/data/cohort.csv"})
    log.add("datasets.uploaded", {"dataset_id": "empty", "uri": "/data/empty.csv"})
    log.add("ml.dataset.registered", histories.registered_dataset())
    log.add("ml.dataset.rejected", histories.rejected_dataset("empty"))
    for number in (1, 2):
        job, model = f"job-{number}", f"model-{number}"
        log.add("ml.automl.requested", histories.request(job))
        log.add("ml.job.started", histories.started(job))
        log.add("ml.job.progressed", histories.progressed(job, seq=3))
        log.add("ml.job.completed", histories.ended(job, model_id=model))
        log.add("ml.model.completed", histories.model(model, job))
        about = {"model_id": model, "registered_name": "cohort-outcome", "version": str(number)}
        log.add("ml.model.registered", {**about, "mlflow_run_id": f"run-{number}"})
    log.add("ml.model.promoted", {**about, "model_id": "model-1", "version": "1", "approved_by": "grace"})
    log.add("ml.model.deleted", {"model_id": "model-2", "requested_by": "ada"})
    log.add("ml.automl.requested", histories.request("job-3"))
    log.add("ml.job.failed", histories.failed("job-3"))
    return log


async def read(client: httpx.AsyncClient, document: dict[str, Any]) -> dict[str, Any]:
    """Every address's answer, after checking that it is one it promises."""
    told = {}
    for path, schema in READ.items():
        answer = await client.get(path)
        assert answer.status_code in ((200,) if schema.endswith("Page") else (200, 404, 410)), (path, answer.text)
        named = schema if answer.status_code == 200 else "Problem"
        whole = {"$ref": f"#/components/schemas/{named}", "components": document["components"]}
        Draft202012Validator(whole).validate(answer.json())
        told[path] = (answer.status_code, answer.json())
    return told


@pytest.mark.parametrize("seed", [None, 0])
async def test_whatever_has_arrived_so_far_can_be_read(client, engine, seed: int | None) -> None:
    document = (await client.get("/openapi.json")).json()
    records = a_log().records
    if seed is not None:
        random.Random(seed).shuffle(records)
    for record in records:
        await apply_all(engine, [record])
        told = await read(client, document)
    statuses = {path: status for path, (status, _) in told.items() if status != 200}
    assert statuses == {"/api/ml/models/model-2/results": 410}
    done, failed = told["/api/ml/jobs/job-1/status"][1], told["/api/ml/jobs/job-3/status"][1]
    assert (done["status"], done["progress"], done["model_id"], done["stalled"]) == (
        "completed",
        100.0,
        "model-1",
        False,
    )
    assert (failed["status"], failed["error"]["reason"]) == ("failed", "target_missing")
    assert [m["model_id"] for m in told["/api/ml/models/list"][1]["items"]] == ["model-1"]
    results = told["/api/ml/models/model-1/results"][1]
    assert (results["promoted_by"], results["mlflow_run_id"], results["baseline"]["beaten"]) == (
        "grace",
        "run-1",
        False,
    )
    assert results["files"] == {"MLmodel": "b" * 64}
    assert {d["dataset_id"]: d["status"] for d in told["/api/ml/datasets"][1]["items"]} == {
        "cohort": "registered",
        "empty": "rejected",
    }


async def test_both_databases_page_alike(client, engine) -> None:
    """Ids that a language's sorting would put elsewhere than a computer's, all of one moment."""
    ids = [f"{letter}{mark}{n}" for letter in "aBZ" for mark in ("-", "_", ".", "") for n in range(20)]
    await fill(engine, training_jobs, *(job_row(job_id, status="failed") for job_id in ids))
    seen: list[str] = []
    asked = {"limit": "33", "status": "failed"}
    while True:
        page = (await client.get("/api/ml/jobs", params=asked)).json()
        seen += [job["job_id"] for job in page["items"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert len(seen) == len(ids)
    assert set(seen) == set(ids)


async def test_before_the_first_migration_nothing_is_ready(settings: Settings) -> None:
    bare = open_engine(settings.database)
    async with client_of(create_app(settings, bare), tokens.issue(settings, "ada")) as client:
        for path in ("/readyz", *READ):
            assert (await client.get(path)).status_code == 503, path
        await migrate(settings.database)
        assert (await client.get("/readyz")).status_code == 200
    await bare.dispose()
