"""Explanations of a model that is removed: their files go, what was told of them stays, and nothing comes back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from support.deleting import at_work, deletion, finished, left_of
from support.fakes import HeldLease, MemoryStore, RecordedOutcomes

from events.errors import OmniScopeError, ReasonCode
from events.explanations import ExplanationCompleted
from events.identifiers import explanation_id_of
from events.topics import JobKind
from infra.jobs import arbiter, janitor, remembering
from infra.jobs.arbiter import Outcome
from infra.jobs.called import called
from infra.jobs.deletion import Deletion
from infra.jobs.revival import revive
from infra.jobs.running import Running


class Log:
    epoch, complete_until = "e1", 1000.0

    def holds(self, *_: Any) -> bool:
        return True


class House:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.outcomes = RecordedOutcomes()

    async def made(self, job_id: str) -> str:
        return await finished(self.store, self.outcomes, job_id)

    async def explained(self, job_id: str, model_id: str, asked: str = "same") -> Outcome:
        """An explanation with real rows, which nobody has told of yet."""
        job = await at_work(self.store, job_id, JobKind.EXPLANATION, model_id)
        folder = f"{job.folder}/attempt-1"
        await self.store.put(f"{folder}/features.parquet", b"rows")
        fact = ExplanationCompleted(
            method="shap",
            explainer="exact",
            feature_importance={},
            visualizations={},
            n_samples=1,
            explanation_id=explanation_id_of(job_id),
            job_id=job_id,
            model_id=model_id,
            artifacts_path=folder,
            files={"features.parquet": "0" * 64},
            asked_sha256=asked,
            created_at=datetime.now(UTC),
        )
        return await arbiter.decide(self.store, job.completed("Explained", fact))

    async def delete(self, model_id: str) -> None:
        await self.handle(deletion(model_id))

    async def handle(self, asked: Any) -> None:
        await Deletion(self.store, self.outcomes, Running()).handle(asked, HeldLease())

    async def files(self) -> list[str]:
        return await self.store.list("explanations")

    async def revive(self, prefix: str) -> None:
        written = {key: 1000.0 for key in self.store.objects if key.startswith(prefix)}
        await revive(self.store, self.outcomes, Log(), written)  # type: ignore[arg-type] # nothing is asked again


@pytest.fixture
def house() -> House:
    return House()


async def test_the_files_of_every_explanation_of_the_model_go_and_others_stay(house: House) -> None:
    model, other = await house.made("model"), await house.made("other")
    # Two that were asked at once in the same words: the later one is the one that is found again.
    for job_id, of in (("first", model), ("second", model), ("third", other)):
        await remembering.remember(house.store, await house.explained(job_id, of))
    asked = deletion(model)
    await house.handle(asked)
    assert await house.files() == [f"explanations/{explanation_id_of('third')}/attempt-1/features.parquet"]
    assert left_of(house.store, model) == ["tombstones"]
    before = dict(house.store.objects)
    await house.handle(asked)
    assert house.store.objects == before
    assert (await arbiter.find(house.store, "first")) is not None, "what was told stays"


async def test_files_go_before_what_names_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    model = await house.made("model")
    await remembering.remember(house.store, await house.explained("job", model))
    delete_all = house.store.delete_all

    async def dies(prefix: str) -> int:
        if prefix.startswith("explanations/"):
            raise OSError("killed here")
        return await delete_all(prefix)

    monkeypatch.setattr(house.store, "delete_all", dies)
    asked = deletion(model)
    with pytest.raises(OSError, match="killed here"):
        await house.handle(asked)
    monkeypatch.undo()
    assert await house.files() != []
    await house.handle(asked)
    assert await house.files() == []


@pytest.mark.parametrize(
    "record", [b"{", b"[]", b"null", b'{"explanation": {"artifacts_path": "models/other"}}', b'{"explanation": 1}']
)
async def test_a_record_that_names_no_explanation_removes_nothing_and_holds_up_nothing(
    house: House, record: bytes
) -> None:
    model = await house.made("model")
    await house.store.put(f"models/{model}/explanations/abc.json", record)
    await house.store.put("models/other/record.json", b"{}")
    await house.delete(model)
    assert left_of(house.store, model) == ["tombstones"]
    assert "models/other/record.json" in house.store.objects


async def test_an_explanation_that_is_told_after_its_model_went_does_not_stay(house: House) -> None:
    model = await house.made("model")
    outcome = await house.explained("job", model)
    await house.delete(model)
    for _ in range(2):
        await remembering.remember(house.store, outcome)
        assert await house.files() == []
        assert left_of(house.store, model) == ["tombstones"]


@pytest.mark.parametrize("at", [0, 1])
async def test_an_explanation_that_is_written_down_while_its_model_goes_does_not_stay(
    house: House, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await house.made("model")
    outcome = await house.explained("job", model)
    put, keys = house.store.put, list[str]()

    async def late(key: str, data: bytes) -> None:
        keys.append(key)
        if len(keys) == at + 1:
            await house.delete(model)
        await put(key, data)

    monkeypatch.setattr(house.store, "put", late)
    await remembering.remember(house.store, outcome)
    assert len(keys) == 2
    assert await house.files() == []
    assert left_of(house.store, model) == ["tombstones"]


async def test_a_lost_log_brings_back_what_is_known_of_an_explanation(house: House) -> None:
    """Its worker died between the broker and the store, or the store's copy was lost with the log."""
    model = await house.made("model")
    outcome = await house.explained("job", model)
    await arbiter.tell(house.store, house.outcomes, outcome, epoch="e1")
    await house.revive("jobs/job/")
    told = json.loads(house.store.objects[f"models/{model}/explanations/same.json"])
    assert told["explanation"]["job_id"] == "job"
    await house.delete(model)
    await house.revive("jobs/job/")
    assert left_of(house.store, model) == ["tombstones"]
    assert await house.files() == []


async def test_the_janitor_takes_attempts_at_explanations_that_do_not_count(house: House) -> None:
    model = await house.made("model")
    outcome = await house.explained("job", model)
    await remembering.remember(house.store, outcome)
    running = await at_work(house.store, "running", JobKind.EXPLANATION, model)
    counts = [f"{outcome.artifacts}/features.parquet", f"{running.folder}/attempt-1/features.parquet"]
    late = str(outcome.artifacts).replace("attempt-1", "attempt-2")
    for key in (counts[1], f"{late}/features.parquet", "explanations/of-no-job/attempt-1/a"):
        await house.store.put(key, b"rows")
    swept = await janitor.sweep(house.store)
    assert (swept.attempts, swept.keys) == (1, 1)
    assert await house.files() == sorted([*counts, "explanations/of-no-job/attempt-1/a"])

    # It ends because the model goes, and its worker comes late.
    await house.delete(model)
    await janitor.sweep(house.store)
    assert await house.files() == ["explanations/of-no-job/attempt-1/a"]


async def test_a_deleted_model_that_is_called_by_its_job_is_deleted(house: House) -> None:
    model = await house.made("training")
    await house.delete(model)
    for name in ("training", model):
        with pytest.raises(OmniScopeError, match=f"model {model} was deleted") as told:
            await called(house.store, name)
        assert told.value.reason is ReasonCode.MODEL_DELETED


async def test_a_request_that_was_put_aside_is_not_asked_again_by_itself(house: House) -> None:
    one, two = await house.made("one"), await house.made("two")
    await finished(house.store, house.outcomes, "whole", JobKind.ENSEMBLE, one, two)
    await house.store.put("jobs/whole/outcome.json", b"{")
    await house.delete(one)
    assert [letter.reason for letter in house.outcomes.letters] == ["store_damaged"]
    assert await house.store.list("deletions") == []
    assert "tombstones" not in left_of(house.store, one)
    house.outcomes.events.clear()
    await house.revive("deletions/")
    assert house.outcomes.events == []
