"""The application as a whole: its headers, its log, its life, and what it does not load."""

import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.clients import client_of

from infra.api import tokens
from infra.api.app import create_app


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/ml/jobs", "/nothing", "/openapi.json"])
async def test_every_answer_keeps_browsers_careful(client, stranger, path: str) -> None:
    for caller in (client, stranger):
        headers = (await caller.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


async def test_a_sensible_request_id_is_kept_and_another_replaced(stranger) -> None:
    kept = await stranger.get("/healthz", headers={"X-Request-Id": "trace-1.a_B"})
    assert kept.headers["x-request-id"] == "trace-1.a_B"
    seen = set()
    for given in ("", "two words", "x" * 65, "<script>"):
        answer = await stranger.get("/healthz", headers={"X-Request-Id": given})
        seen.add(answer.headers["x-request-id"])
        assert answer.headers["x-request-id"] != given
    assert len(seen) == 4


async def test_the_log_tells_who_asked_and_never_the_token(app, settings) -> None:
    token = tokens.issue(settings, "ada")
    async with client_of(app, token) as client:
        with capture_logs() as logs:
            await client.get("/api/ml/jobs?limit=5&cursor=not-for-the-log")
            await client.get("/healthz")
    assert [(entry["log_level"], entry["path"]) for entry in logs] == [("info", "/api/ml/jobs"), ("debug", "/healthz")]
    assert (logs[0]["method"], logs[0]["status"], logs[0]["subject"]) == ("GET", 422, "ada")
    assert logs[0]["ms"] >= 0
    for secret in (token, token.split(".")[2], "not-for-the-log"):
        assert secret not in repr(logs)


async def test_the_lifespan_opens_and_closes_its_own_database(settings) -> None:
    settings.make_data_dir()
    app = create_app(settings)
    assert not hasattr(app.state, "engine"), "nothing is opened before the start"
    async with app.router.lifespan_context(app):
        pool = app.state.engine.pool
        async with client_of(app) as client:
            assert (await client.get("/readyz")).status_code == 503, "nobody has made the tables"
    assert app.state.engine.pool is not pool, "disposed of"


async def test_an_engine_that_was_handed_in_stays_open(app, engine) -> None:
    pool = engine.pool
    async with app.router.lifespan_context(app):
        assert app.state.engine is engine
    assert engine.pool is pool


def test_the_process_stays_light() -> None:
    """Nothing of machine learning, nor of the worker, is loaded by the API or by what it serves with."""
    heavy = "torch autogluon mlflow faust pandas sklearn numpy pyarrow obstore shap lime ray handlers"
    script = (
        "import sys, infra.api.app, infra.api.serving, infra.storage.database\n"
        f"print(*[name for name in {heavy.split()!r} if name in sys.modules])"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
