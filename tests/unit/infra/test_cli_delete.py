"""`omniscope-ml delete`: what is published, what is heard of it, and what a person and a script are told."""

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from events import Publisher
from events.envelope import CloudEvent, full_type
from events.identifiers import derived_id
from events.publisher import _receipt
from events.requests import ModelDeletionRequested
from infra.cli.client import ApiClient, Gone
from infra.cli.errors import CliError, ExitCode
from infra.cli.main import app

MODEL = {"model_id": "m1-of-many", "model_name": "AutoML_12345678"}
ASKED = {"cascade": False, "requested_by": "ada"}


class Spoken:
    """What is published, and what is heard on the topic of models."""

    def __init__(self) -> None:
        self.published: list[ModelDeletionRequested] = []
        self.events: list[CloudEvent] = []

    def say(self, name: str, model_id: str = "m1-of-many", **data: Any) -> None:
        told = {"model_id": model_id, **data}
        self.events.append(CloudEvent(source="s", type=full_type(name), subject=model_id, data=told))

    source = "test"

    async def request(self, request: ModelDeletionRequested) -> Any:
        self.published.append(request)
        event = Publisher("nowhere", source=self.source).event(request)
        # What is no answer to another request is the answer to this one.
        self.events = [
            said if "old" in said.data else said.model_copy(update={"id": derived_id(*event.identity, "refused")})
            for said in self.events
        ]
        return _receipt(event)

    async def first(self, wanted: Any, timeout_s: float) -> Any:
        return next((found for event in self.events if (found := wanted(event)) is not None), None)


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An API that knows one model, and that another one is gone."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def results(_: ApiClient, model_id: str) -> dict[str, Any]:
        if model_id == "gone":
            raise Gone("this model was deleted at 2026-03-01 12:00 UTC")
        if model_id != MODEL["model_id"]:
            raise CliError("no model of that id", ExitCode.NOT_FOUND)
        return MODEL

    monkeypatch.setattr(ApiClient, "results", results)
    monkeypatch.setattr(ApiClient, "pages", lambda *_, **__: [MODEL])


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Spoken:
    known = Spoken()

    @asynccontextmanager
    async def context(*_: object) -> Any:
        yield known

    monkeypatch.setattr("infra.cli.delete.publisher", context)
    monkeypatch.setattr("infra.cli.listening.Listener", context)
    return known


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["delete", *arguments], prog_name="omniscope-ml")


@pytest.mark.parametrize("told", ["m1-of-many", "AutoML_12345678"])
def test_a_model_is_deleted_by_its_whole_id_or_name(spoken: Spoken, told: str) -> None:
    spoken.say("ml.model.deleted", "another", with_models=[])
    spoken.say("ml.model.deletion-refused", used_by=["e1"], old=True)
    spoken.say("ml.model.deleted", with_models=["e2", "e1"])
    done = call(told, "--cascade", "--by", "ada")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == (
        "AutoML_12345678 (m1-of-many) is deleted, and what was made of it: 2 ensembles (e2, e1)\n"
    )  # fmt: skip
    assert spoken.published == [ModelDeletionRequested(model_id="m1-of-many", cascade=True, requested_by="ada")]


def test_a_model_that_is_part_of_something_stays(spoken: Spoken) -> None:
    spoken.say("ml.model.deletion-refused", used_by=["e1"])
    done = call("m1-of-many")
    assert done.exit_code == ExitCode.FAILED
    assert done.stdout == (
        "AutoML_12345678 (m1-of-many) stays, for it is part of 1 ensemble (e1): delete that first, or say --cascade\n"
    )
    assert not spoken.published[0].cascade


def test_nobody_answers_in_time(spoken: Spoken) -> None:
    done = call("m1-of-many")
    assert done.exit_code == ExitCode.FAILED
    assert "no worker has answered so far" in done.stdout
    assert call("m1-of-many", "--no-wait").exit_code == 0


def test_it_may_have_gone_with_another_one(spoken: Spoken) -> None:
    spoken.say("ml.model.deleted", "part", with_models=["m1-of-many"])
    assert call("m1-of-many").stdout == "AutoML_12345678 (m1-of-many) is deleted\n"


def test_for_a_program(spoken: Spoken) -> None:
    spoken.say("ml.model.deleted", with_models=[])
    told = json.loads(call("m1-of-many", "--json").stdout)
    assert told.keys() == {"model_id", "status", "with_models", "event_id", "message"}
    assert (told["status"], told["model_id"]) == ("deleted", "m1-of-many")


def test_what_is_gone_already_is_no_mistake(spoken: Spoken) -> None:
    done = call("gone")
    assert (done.exit_code, done.stdout) == (0, "gone: this model was deleted at 2026-03-01 12:00 UTC\n")
    assert spoken.published == []


def test_nothing_is_deleted_by_accident(spoken: Spoken) -> None:
    for told in ("m1-of-", "AutoML_1234"):
        beginning = call(told)
        assert beginning.exit_code == ExitCode.USAGE
        assert "say its whole id or name" in beginning.stderr
    for told in ("another-model", "../../etc"):
        assert call(told).exit_code == ExitCode.NOT_FOUND
    assert call("").exit_code == ExitCode.USAGE
    assert call().exit_code == ExitCode.USAGE
    assert call("m1-of-many", "--by", "").exit_code in (0, ExitCode.FAILED)
    assert {request.requested_by != "" for request in spoken.published} == {True}
