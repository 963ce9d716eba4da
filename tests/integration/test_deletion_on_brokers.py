"""Removing models on real brokers: with jobs at work on them, with ensembles of them, unknown ones, and twice."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import users_of_models
from support.broker import Broker
from support.deleting import finished, left_in
from support.fakes import RecordedOutcomes
from support.house import ENDS, House, open_house
from support.users_of_models import TESTS

from events.envelope import CloudEvent
from events.identifiers import model_id_of
from events.topics import JobKind
from handlers.registry import HANDLERS, HandlerSpec
from infra.execution.local import LocalExecutor
from infra.storage.store import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KINDS = ("datasets", "noop", "ensemble", "explanation")
LONG = 1200


@pytest.fixture(autouse=True)
def slow_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that need no model that works, found by the warm server."""
    name = users_of_models.__name__
    monkeypatch.setitem(HANDLERS, JobKind.EXPLANATION, HandlerSpec(f"{name}:explain", light=True))
    monkeypatch.setitem(HANDLERS, JobKind.ENSEMBLE, HandlerSpec(f"{name}:combine"))
    monkeypatch.setattr("infra.kafka.worker.LocalExecutor", partial(LocalExecutor, path=[TESTS]))


async def models(house: House, tmp_path: Path, *job_ids: str) -> list[str]:
    """Models of one dataset, as if the jobs had made them."""
    file = tmp_path / "data/datasets/cohort.csv"
    file.parent.mkdir()
    file.write_text("gene,outcome\n" + "1,a\n2,b\n" * 20)
    await house.ask("datasets.uploaded", "cohort", dataset_id="cohort", uri=str(file))
    known = await house.heard("ml.dataset.registered", "cohort")
    store, outcomes = ObjectStore.open(house.settings.artifacts), RecordedOutcomes()
    about = {"dataset_sha256": known.data["sha256"]}
    return [await finished(store, outcomes, job_id, JobKind.AUTOML, about=about) for job_id in job_ids]


async def at_work(house: House, kind: str, job_id: str, **asked: Any) -> None:
    await house.ask(f"ml.{kind}.requested", job_id, seed=LONG, **asked)
    await house.first(lambda event: event.subject == job_id and event.data.get("message") == "At work")


async def ended(house: House, kind: str, job_id: str, **asked: Any) -> tuple[str, Mapping[str, Any]]:
    """The name of the end, and why, if it failed."""
    await house.ask(f"ml.{kind}.requested", job_id, **asked)
    end = await house.ended(job_id)
    return end.name.removeprefix("ml.job."), end.data.get("error", {})


async def deleted(house: House, model_id: str, **asked: Any) -> CloudEvent:
    await house.ask("ml.model-deletion.requested", model_id, **asked)
    return await house.heard("ml.model.deleted", model_id)


async def test_models_are_removed_whoever_works_with_them(tmp_path: Path, both_brokers: Broker) -> None:
    async with open_house(tmp_path, *KINDS, broker=both_brokers, worker_slots=1) as house:
        a, b, c = await models(house, tmp_path, "a", "b", "c")
        await at_work(house, "explanation", "explaining", model_id=a, method="shap")
        await at_work(house, "ensemble", "combining", model_ids=[a, b], method="voting")
        told = await deleted(house, a, requested_by="ada")
        assert told.data == {"model_id": a, "requested_by": "ada", "with_models": []}
        for job_id in ("explaining", "combining"):
            end = await house.ended(job_id)
            assert (end.name, end.data["error"]["reason"], end.data["attempt"]) == ("ml.job.failed", "model_deleted", 1)
            assert "as ada asked" in end.data["error"]["message"]
        # The one slot is free again: the process that had it for minutes is gone.
        assert await ended(house, "noop", "next") == ("completed", {})
        assert await left_in(house.settings, a) == ["tombstones"]
        how, why = await ended(house, "explanation", "late", model_id=a, method="shap")
        assert (how, why["reason"]) == ("failed", "model_deleted")

        # What is made of a model keeps it, unless it goes along.
        assert (await ended(house, "ensemble", "both", model_ids=[b, c], method="voting"))[0] == "completed"
        assert (await ended(house, "explanation", "why", model_id=model_id_of("both"), method="shap"))[0] == "completed"
        await house.ask("ml.model-deletion.requested", b, requested_by="grace")
        refused = await house.heard("ml.model.deletion-refused", b)
        assert refused.data == {"model_id": b, "requested_by": "grace", "used_by": [model_id_of("both")]}
        assert (await deleted(house, b, cascade=True)).data["with_models"] == [model_id_of("both")]
        assert await left_in(house.settings, model_id_of("both")) == ["tombstones"]
        made = await house.heard("ml.explanation.completed", "why")
        kept = ObjectStore.open(house.settings.artifacts)
        assert await kept.list(made.data["artifacts_path"]) == [], "its rows may be real ones"
        assert await left_in(house.settings, c) == ["attempt-1", "record.json", "used_by"]
        assert (await ended(house, "explanation", "why-c", model_id=c, method="shap"))[0] == "completed"

        # Again: the same event. A model that nobody knows: put aside. A job that is asked again: told again, no more.
        before = len([e for e in house.events if e.name == "ml.model.deleted"])
        await house.ask("ml.model-deletion.requested", a)
        await house.ask("ml.model-deletion.requested", model_id_of("both"))
        place = await house.send(
            "omniscope.ml.model-deletion.requested",
            CloudEvent(
                source="s", type="ai.omniscope.ml.model-deletion.requested.v1", subject="nowhere", data={}
            ).to_bytes(),
        )
        assert (await house.buried(place)).reason == "model_unknown"
        await house.first(lambda _: len([e for e in house.events if e.name == "ml.model.deleted"]) == before + 2)
        assert len({e.id for e in house.events if e.name == "ml.model.deleted"}) == 2
        await house.ask("ml.ensemble.requested", "both", model_ids=[b, c], method="voting")
        both = model_id_of("both")
        await house.first(lambda _: len([e for e in house.events if e.name == "ml.model.completed"]) >= 2)
        assert len({e.id for e in house.events if e.name == "ml.model.completed" and e.subject == both}) == 1
        assert await left_in(house.settings, both) == ["tombstones"]
        ends = {(e.subject, e.id) for e in house.events if e.name in ENDS}
        assert len({subject for subject, _ in ends}) == len(ends), "a job has two ends"
        assert [letter.reason for letter in house.letters] == ["model_unknown"]
