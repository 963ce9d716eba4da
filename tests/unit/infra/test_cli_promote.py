"""`omniscope-ml promote`: which model, who answers for it, and what is published."""

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from events import Publisher
from events.publisher import _receipt
from events.requests import ModelPromotionRequested
from infra.cli.client import ApiClient
from infra.cli.errors import CliError, ExitCode
from infra.cli.main import app

MODEL = {
    "model_id": "m1-of-many",
    "model_name": "AutoML_12345678",
    "registered_name": "tumours.kind",
    "warnings": ["Only 12 test rows: the scores are rough"],
    "promoted_at": None,
}


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An API that knows one model."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def results(_: ApiClient, model_id: str) -> dict[str, Any]:
        if model_id != MODEL["model_id"]:
            raise CliError("no model of that id", ExitCode.NOT_FOUND)
        return MODEL

    monkeypatch.setattr(ApiClient, "results", results)
    monkeypatch.setattr("infra.cli.promote._PATIENCE_S", 0.0)
    monkeypatch.setattr(ApiClient, "pages", lambda *_, **__: [MODEL])


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[ModelPromotionRequested]:
    """What reached the broker, checked like the requests of a real publisher."""
    sent: list[ModelPromotionRequested] = []

    class FakeBroker:
        async def request(self, request: ModelPromotionRequested) -> Any:
            sent.append(request)
            return _receipt(Publisher("nowhere", source="test").event(request))

    @asynccontextmanager
    async def publisher(_: object) -> Any:
        yield FakeBroker()

    monkeypatch.setattr("infra.cli.publishing.publisher", publisher)
    return sent


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["promote", *arguments], prog_name="omniscope-ml")


@pytest.mark.parametrize("told", ["m1-of-many", "m1-of-", "AutoML_12345678", "AutoML_1234"])
def test_a_model_is_promoted_by_whatever_names_it(published: list[ModelPromotionRequested], told: str) -> None:
    done = call(told, "--approved-by", "Grace Hopper", "--reason", "validated")
    assert done.exit_code == 0, done.stderr
    assert "AutoML_12345678 is to be the champion of tumours.kind, approved by Grace Hopper" in done.stdout
    assert published == [ModelPromotionRequested(model_id="m1-of-many", approved_by="Grace Hopper", reason="validated")]


def test_the_warnings_of_the_model_are_shown_and_the_registrars_answer_is_waited_for(
    published: list[ModelPromotionRequested], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli.promote._PATIENCE_S", 60.0)
    monkeypatch.setattr("infra.cli.promote._LOOK_AGAIN_S", 0.0)
    answers = iter([None, None, "2026-03-01T12:00:00Z"])
    monkeypatch.setattr(ApiClient, "results", lambda *_: {**MODEL, "promoted_at": next(answers)})
    done = call("m1-of-many", "--approved-by", "ada")
    assert "! Only 12 test rows: the scores are rough" in done.stderr
    assert done.stdout == "AutoML_12345678 is the champion of tumours.kind, approved by ada\n"
    assert published


def test_for_a_program(published: list[ModelPromotionRequested]) -> None:
    told = json.loads(call("m1-of-many", "--approved-by", "ada", "--json").stdout)
    assert told.keys() == {"model_id", "event_id", "approved_by"}
    assert published[0].reason is None


def test_nobody_promotes_by_accident(published: list[ModelPromotionRequested]) -> None:
    assert call("m1-of-many").exit_code == ExitCode.USAGE
    assert call("m1-of-many", "--approved-by", "").exit_code == ExitCode.USAGE
    unknown = call("another-model", "--approved-by", "ada")
    assert unknown.exit_code == ExitCode.NOT_FOUND
    assert published == []
