"""What the README shows is run: a newcomer's first program must end, whatever becomes of the job."""

import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import events
from events import CloudEvent, Publisher
from events.errors import ReasonCode
from events.outcomes import Failure, JobFailed
from events.publisher import Receipt
from events.vocabulary import EVENT_OF_MODEL, EVENTS
from infra.cli.main import app

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
(SNIPPET,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "Publisher" in block)


class FakePublisher(Publisher):
    """Checks a request as the real one does, and sends it nowhere."""

    async def __aenter__(self) -> "FakePublisher":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def request(self, request: BaseModel, **extensions: str) -> Receipt:
        event = self.event(request)
        return Receipt(job_id="mine", event_id=event.id, created_at=event.time)


def ending(job_id: str, name: str, data: dict[str, Any]) -> CloudEvent:
    (known,) = (event for event in EVENTS.values() if event.name == name)
    return CloudEvent(source="test", type=known.type, subject=job_id, data={"job_id": job_id, **data})


def failure() -> dict[str, Any]:
    """The part of a failed job's event that says why, as agents write it."""
    assert "error" in JobFailed.model_fields
    assert EVENT_OF_MODEL[JobFailed].name == "ml.job.failed"
    return {"error": Failure.of(ReasonCode.TARGET_MISSING, "no such column").model_dump()}


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [("ml.job.failed", failure(), "failed: no such column"), ("ml.model.completed", {"metrics": {"f1": 0.9}}, "0.9")],
)
def test_the_program_in_the_readme_ends_with_its_own_job(
    name: str, data: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def subscribe(servers: str, topics: Iterable[str], *, types: Iterable[str]) -> AsyncIterator[CloudEvent]:
        wanted = [event for event in EVENTS.values() if event.name in set(types)]
        assert {event.topic for event in wanted} == set(topics), "an ending is not heard, or a topic is read in vain"
        yield ending("another", "ml.job.failed", {"error": {"message": "not mine"}})
        yield ending("mine", name, data)

    monkeypatch.setattr(events, "Publisher", FakePublisher)
    monkeypatch.setattr(events, "subscribe", subscribe)
    exec(compile(SNIPPET, "README.md", "exec"), {"__name__": "__main__"})
    last = capsys.readouterr().out.splitlines()[-1]
    assert told in last
    assert "not mine" not in last


def test_the_readme_names_commands_that_exist() -> None:
    told = set(re.findall(r"omniscope-ml ([a-z]+)", README))
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert told - known - {group.name for group in app.registered_groups} == set()
    assert {"up", "dataset", "submit", "models"} <= told
