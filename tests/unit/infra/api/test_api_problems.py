"""Whatever goes wrong, the answer is a problem document that says what to do."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs
from support.clients import client_of
from support.rows import NOON, fill, job_row, model_row

from infra.api import tokens
from infra.api.app import create_app
from schemas import queries
from schemas.responses import Problem
from schemas.tables import ml_models, training_jobs


def problem(answer, status: int) -> dict:
    """The problem in `answer`, after checking what holds for each of them."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    Problem.model_validate(told)
    assert told["status"] == status
    assert told["instance"] == answer.request.url.path
    assert told["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    return told


async def test_an_unknown_job_says_where_jobs_come_from(client) -> None:
    told = problem(await client.get("/api/ml/jobs/nobody/status"), 404)
    assert told["reason"] == "job_unknown"
    assert "omniscope.ml.automl.requested" in told["topics"]


@pytest.mark.parametrize("job_id", ["..%2Fx", "a%00b", "%F0%9F%A7%AC", "x" * 129, ".hidden", "a b"])
async def test_an_id_that_can_be_nobodys_is_unknown(client, job_id: str) -> None:
    assert problem(await client.get(f"/api/ml/jobs/{job_id}/status"), 404)["reason"] in (
        "job_unknown",
        "no_such_address",
    )


async def test_an_unknown_model_points_at_its_job(client) -> None:
    told = problem(await client.get("/api/ml/models/nobody/results"), 404)
    assert told["reason"] == "model_unknown"
    assert "/api/ml/jobs" in told["detail"]


async def test_a_deleted_model_is_gone(client, engine) -> None:
    await fill(engine, ml_models, model_row("m", deleted_at=NOON))
    assert problem(await client.get("/api/ml/models/m/results"), 410)["reason"] == "model_deleted"


@pytest.mark.parametrize("path", ["/nothing", "/api/ml", "/api/ml/jobs/", "/api/ml/jobs/x", "/favicon.ico", "//"])
async def test_an_address_that_is_none(client, path: str) -> None:
    told = problem(await client.get(f"http://api.test{path}"), 404)
    assert told["reason"] == "no_such_address"
    assert "/openapi.json" in told["detail"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("stauts=failed", "stauts"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("limit=5&limit=6", "limit"),
        ("status=done", "status"),
        ("kind=magic", "kind"),
        ("dataset_id=../x", "dataset_id"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=" + "A" * 300, "cursor"),
        ("type=automl", "type"),
        ("%00=1", "\0"),
    ],
)
async def test_a_bad_parameter_is_named(client, query: str, parameter: str) -> None:
    told = problem(await client.get(f"/api/ml/jobs?{query}"), 422)
    assert told["parameter"] == parameter


@pytest.mark.parametrize("path", ["/api/ml/jobs/x/status", "/api/ml/models/x/results"])
async def test_where_there_are_no_parameters_none_is_taken(client, path: str) -> None:
    told = problem(await client.get(f"{path}?verbose=1"), 422)
    assert told["parameter"] == "verbose"
    assert "there are: none" in told["detail"]


async def test_a_tampered_cursor_is_refused(client, engine) -> None:
    await fill(engine, training_jobs, *(job_row(str(n)) for n in range(3)))
    good = (await client.get("/api/ml/jobs?limit=1")).json()["next"]
    bad = good[:5] + ("A" if good[5] != "A" else "B") + good[6:]
    assert problem(await client.get(f"/api/ml/jobs?cursor={bad}"), 422)["parameter"] == "cursor"
    assert problem(await client.get(f"/api/ml/jobs?cursor={good}&status=failed"), 422)["parameter"] == "cursor"
    assert (await client.get(f"/api/ml/jobs?cursor={good}")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "topic"),
    [
        ("POST", "/api/ml/automl/train", "omniscope.ml.automl.requested"),
        ("POST", "/api/ml/deep-learning/train", "omniscope.ml.deep-learning.requested"),
        ("POST", "/api/ml/transfer-learning", "omniscope.ml.transfer-learning.requested"),
        ("POST", "/api/ml/ensemble/create", "omniscope.ml.ensemble.requested"),
        ("POST", "/api/ml/models/m/explain", "omniscope.ml.explanation.requested"),
        ("POST", "/api/ml/jobs/j/cancel", "omniscope.ml.cancellation.requested"),
        ("DELETE", "/api/ml/jobs/j/status", "omniscope.ml.cancellation.requested"),
        ("DELETE", "/api/ml/models/m", "omniscope.ml.model-deletion.requested"),
        ("PUT", "/api/ml/models/m/promotion", "omniscope.ml.model-promotion.requested"),
        ("POST", "/api/ml/datasets", "omniscope.datasets.uploaded"),
    ],
)
async def test_who_writes_is_told_the_topic(stranger, method: str, path: str, topic: str) -> None:
    answer = await stranger.request(method, path, json={})
    told = problem(answer, 405)
    assert told["topics"] == [topic]
    assert topic in told["detail"]
    assert answer.headers["allow"] == "GET, HEAD"


async def test_a_write_that_could_mean_any_job_names_all_request_topics(stranger) -> None:
    told = problem(await stranger.post("/api/ml/jobs"), 405)
    assert "omniscope.ml.automl.requested" in told["topics"]
    assert "omniscope.ml.noop.requested" not in told["topics"]


async def test_other_methods_are_not_allowed(stranger) -> None:
    for path in ("/", "/healthz", "/api/ml/jobs"):
        answer = await stranger.request("OPTIONS", path)
        problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"
    problem(await stranger.post("/healthz"), 405)


async def test_a_fault_of_ours_tells_nothing_but_an_id(client, monkeypatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2 in a trace")

    monkeypatch.setattr(queries, "get_job", broken)
    with capture_logs() as logs:
        answer = await client.get("/api/ml/jobs/x/status")
    told = problem(answer, 500)
    assert told["reason"] == "internal_error"
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert [entry["event"] for entry in logs] == ["request_failed", "request"]


async def test_a_database_without_tables_is_unavailable(settings, tmp_path: Path) -> None:
    bare = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'bare.db'}")
    async with client_of(create_app(settings, bare), tokens.issue(settings, "ada")) as client:
        for path in ("/readyz", "/api/ml/jobs", "/api/ml/jobs/x/status", "/api/ml/models/x/results"):
            answer = await client.get(path)
            told = problem(answer, 503)
            assert told["reason"] == "database_unavailable"
            assert answer.headers["retry-after"] == "5"
            assert "sqlite" not in answer.text.lower()
        assert (await client.get("/healthz")).status_code == 200
    await bare.dispose()


@pytest.mark.parametrize(
    "url",
    ["sqlite+aiosqlite:////nowhere/at/all.db", "postgresql+asyncpg://reader:hunter2@127.0.0.1:1/omniscope"],
)
async def test_a_database_that_is_not_there_is_unavailable(settings, url: str) -> None:
    before = set(threading.enumerate())
    gone = create_async_engine(url)
    async with client_of(create_app(settings, gone), tokens.issue(settings, "ada")) as client:
        for path in ("/readyz", "/api/ml/jobs"):
            answer = await client.get(path)
            problem(answer, 503)
            assert "hunter2" not in answer.text
    await gone.dispose()
    # aiosqlite's thread of a failed connection takes leave of the loop: let it, before the loop is closed.
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join, 5)


async def test_a_database_that_goes_and_comes_back(client, engine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE training_jobs RENAME TO elsewhere"))
    problem(await client.get("/api/ml/jobs"), 503)
    problem(await client.get("/readyz"), 503)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO training_jobs"))
    assert (await client.get("/api/ml/jobs")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
