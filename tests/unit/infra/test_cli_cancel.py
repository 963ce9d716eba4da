"""`omniscope-ml cancel`: what is published, what a person reads, and what a script sees."""

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from events.requests import CancellationRequested
from infra.cli.client import ApiClient
from infra.cli.errors import CliError, ExitCode
from infra.cli.main import app

JOBS = {
    "stopped": {"status": "cancelled", "message": "Cancelled by ada"},
    "done": {"status": "completed", "message": "Done"},
    "deaf": {"status": "running", "message": "Step 1"},
}


@pytest.fixture(autouse=True)
def known_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr("infra.cli.cancel._PATIENCE_S", 0.3)

    def status(_: ApiClient, job_id: str) -> dict[str, Any]:
        if job_id not in JOBS:
            raise CliError("no job of that id", ExitCode.NOT_FOUND)
        return JOBS[job_id]

    monkeypatch.setattr(ApiClient, "status", status)


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[CancellationRequested]:
    sent: list[CancellationRequested] = []

    class FakeBroker:
        async def request(self, request: CancellationRequested) -> None:
            sent.append(request)

    @asynccontextmanager
    async def publisher(_: object) -> Any:
        yield FakeBroker()

    monkeypatch.setattr("infra.cli.cancel.publisher", publisher)
    return sent


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cancel", *arguments])


def test_who_asks_is_published_and_the_end_is_told(published: list[CancellationRequested]) -> None:
    result = call("stopped", "--by", "ada")
    assert (result.exit_code, result.stdout) == (0, "stopped: Cancelled by ada\n")
    assert [(request.job_id, request.requested_by) for request in published] == [("stopped", "ada")]


@pytest.mark.parametrize(
    ("job_id", "sentence", "code"),
    [
        ("done", "had completed already and stays so", ExitCode.FAILED),
        ("deaf", "still running", ExitCode.FAILED),
        ("nobody-knows", "unless it has run already, it will not start", ExitCode.NOT_FOUND),
    ],
)
def test_what_was_not_cancelled_is_a_failure_with_a_reason(job_id: str, sentence: str, code: ExitCode) -> None:
    result = call(job_id)
    assert result.exit_code == code
    assert sentence in result.stdout


def test_several_at_once_as_json(published: list[CancellationRequested]) -> None:
    result = call("stopped", "done", "--json")
    assert result.exit_code == ExitCode.FAILED
    assert [(end["job_id"], end["status"]) for end in json.loads(result.stdout)] == [
        ("stopped", "cancelled"),
        ("done", "completed"),
    ]
    assert len(published) == 2


def test_not_waiting_asks_no_api(published: list[CancellationRequested], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ApiClient, "status")
    result = call("stopped", "--no-wait")
    assert (result.exit_code, result.stdout) == (0, "stopped: asked for\n")
    assert len(published) == 1


def test_what_is_no_id_is_refused_before_anything_is_published(published: list[CancellationRequested]) -> None:
    result = call("stopped", "../escape")
    assert result.exit_code == ExitCode.USAGE
    assert "job_id" in result.stderr
    assert published == []
