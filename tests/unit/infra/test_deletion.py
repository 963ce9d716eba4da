"""Removing models, against a store in memory: what is refused, what goes along, who is ended, and what is told."""

import asyncio
import json
from typing import Any

import pytest
from support import deleting
from support.deleting import at_work, deletion, finished, left_of
from support.fakes import HeldLease, MemoryStore, RecordedOutcomes

from events.errors import OmniScopeError, ReasonCode
from events.identifiers import model_id_of
from events.outcomes import JobStatus
from events.topics import JobKind
from infra.jobs import arbiter, janitor, known_models, running, tombstones, uses
from infra.jobs.deletion import Deletion
from infra.jobs.delivery import Delivery
from infra.jobs.revival import revive
from infra.jobs.running import Running, Stopped

ENSEMBLE, EXPLANATION = JobKind.ENSEMBLE, JobKind.EXPLANATION


class House:
    """A deleter with its fakes within reach."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.outcomes = RecordedOutcomes()
        self.running = Running()

    async def made(self, job_id: str, *of: str) -> str:
        return await finished(self.store, self.outcomes, job_id, ENSEMBLE if of else JobKind.AUTOML, *of)

    async def delete(self, model_id: str, **data: Any) -> Delivery:
        asked = deletion(model_id, **data)
        await self.handle(asked)
        return asked

    async def handle(self, asked: Delivery) -> None:
        await Deletion(self.store, self.outcomes, self.running).handle(asked, HeldLease())

    async def refusal_of(self, model_id: str) -> OmniScopeError:
        with pytest.raises(OmniScopeError) as told:
            await known_models.recall(self.store, model_id)
        return told.value

    def told(self, name: str) -> list[dict[str, Any]]:
        return [event.data for _, event in self.outcomes.events if event.name == name]


@pytest.fixture
def house() -> House:
    return House()


async def test_a_model_goes_with_all_its_files_and_is_known_as_deleted_from_then_on(house: House) -> None:
    model = await house.made("job")
    await house.store.put(f"models/{model}/explanations/abc.json", b"{}")
    await house.delete(model, requested_by="ada")
    assert house.told("ml.model.deleted") == [{"model_id": model, "requested_by": "ada", "with_models": []}]
    assert left_of(house.store, model) == ["tombstones"]
    refusal = await house.refusal_of(model)
    assert refusal.reason is ReasonCode.MODEL_DELETED
    assert f"model {model} was deleted at " in refusal.message
    assert "as ada asked" in refusal.message
    with pytest.raises(OmniScopeError, match="was deleted"):
        await at_work(house.store, "late", EXPLANATION, model)


async def test_a_model_that_nobody_knows_becomes_a_dead_letter(house: House) -> None:
    await house.delete("nowhere")
    ((letter),) = house.outcomes.letters
    assert (letter.reason, house.outcomes.events) == ("model_unknown", [])
    assert "nowhere" in letter.message
    assert list(house.store.objects) == []


async def test_what_is_no_request_becomes_a_dead_letter(house: House) -> None:
    await house.delete("m", cascade="yes")
    assert [letter.reason for letter in house.outcomes.letters] == ["invalid_field"]


async def test_a_model_that_an_ensemble_is_made_of_stays_and_nobody_is_disturbed(house: House) -> None:
    one, two = await house.made("one"), await house.made("two")
    whole = await house.made("whole", one, two)
    explaining = await at_work(house.store, "explaining", EXPLANATION, one)
    before = dict(house.store.objects)
    asked = await house.delete(one, requested_by="ada")
    assert house.told("ml.model.deletion-refused") == [{"model_id": one, "requested_by": "ada", "used_by": [whole]}]
    new = {key for key in house.store.objects if key not in before}
    assert {key.split("/")[0] for key in new} == {"deletions"}
    assert await arbiter.find(house.store, explaining.id) is None
    assert (await known_models.recall(house.store, one))["model_id"] == one
    await house.handle(asked)
    assert len({event.id for _, event in house.outcomes.events if event.name == "ml.model.deletion-refused"}) == 1

    # A refusal is no tombstone: another request may be granted.
    await house.delete(whole)
    await house.delete(one)
    assert [told["model_id"] for told in house.told("ml.model.deleted")] == [whole, one]
    assert (await known_models.recall(house.store, two))["model_id"] == two


async def test_with_cascade_ensembles_go_along_and_ensembles_of_those_dependents_first(house: House) -> None:
    a, b = await house.made("a"), await house.made("b")
    ab = await house.made("ab", a, b)
    over = await house.made("over", ab, b)
    top = await house.made("top", over, a)
    await house.delete(a, cascade=True)
    assert house.told("ml.model.deleted") == [
        {"model_id": a, "requested_by": "unknown", "with_models": [top, over, ab]}
    ]
    for gone in (a, ab, over, top):
        assert (await house.refusal_of(gone)).reason is ReasonCode.MODEL_DELETED
        assert left_of(house.store, gone) == ["tombstones"]
    await known_models.recall(house.store, b)
    # What used it is gone for good: nothing is made of it any more.
    await house.delete(b)
    assert [told["model_id"] for told in house.told("ml.model.deleted")] == [a, b]


async def test_jobs_at_work_end_with_that_reason_and_the_worker_here_stops_at_once(house: House) -> None:
    model, other = await house.made("model"), await house.made("other")
    jobs = [
        await at_work(house.store, "explaining", EXPLANATION, model),
        await at_work(house.store, "combining", ENSEMBLE, model, other),
    ]
    elsewhere = await at_work(house.store, "elsewhere", EXPLANATION, other)

    async def in_hand() -> None:
        async with house.running.in_hand("explaining"):
            await asyncio.Event().wait()

    worker = asyncio.create_task(in_hand())
    await asyncio.sleep(0)
    await house.delete(model, requested_by="ada")
    with pytest.raises(Stopped) as stopped:
        await worker
    assert isinstance(stopped.value.why, arbiter.Outcome)
    for job in jobs:
        outcome = await arbiter.find(house.store, job.id)
        assert outcome is not None
        assert (outcome.status, outcome.attempt) == (JobStatus.FAILED, 1)
    assert {told["error"]["reason"] for told in house.told("ml.job.failed")} == {"model_deleted"}
    assert [told["job_id"] for told in house.told("ml.job.failed")] == ["combining", "explaining"], "ensembles first"
    told = house.told("ml.job.failed")[0]["error"]["message"]
    assert f"model {model}, which this job works with, was to be deleted, as ada asked" in told
    assert house.told("ml.job.failed")[0]["request"]["model_ids"] == [model, other]
    assert await arbiter.find(house.store, elsewhere.id) is None
    assert house.outcomes.names()[-1] == "ml.model.deleted"


@pytest.mark.parametrize("cascade", [False, True])
async def test_an_ensemble_that_is_finished_in_the_last_moment_saves_the_model_or_goes_along(
    house: House, cascade: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await house.made("model")
    combining = await at_work(house.store, "combining", ENSEMBLE, model)
    explaining = await at_work(house.store, "explaining", EXPLANATION, model)
    decide = arbiter.decide

    async def slower(store: Any, proposal: Any) -> Any:
        if proposal.job_id == "combining" and proposal.status is JobStatus.FAILED:
            monkeypatch.setattr(arbiter, "decide", decide)
            await deleting.completed(house.store, combining)
        return await decide(store, proposal)

    monkeypatch.setattr(arbiter, "decide", slower)
    await house.delete(model, cascade=cascade)
    whole = model_id_of("combining")
    if cascade:
        # Its own worker has told nothing yet: a deletion is read after what it deletes.
        assert house.outcomes.names()[-4:] == [
            "ml.job.failed", "ml.model.completed", "ml.job.completed", "ml.model.deleted"
        ]  # fmt: skip
        assert house.told("ml.model.deleted")[0]["with_models"] == [whole]
        assert left_of(house.store, whole) == ["tombstones"]
        outcome = await arbiter.find(house.store, "combining")
        assert outcome is not None
        await known_models.remember(house.store, outcome)  # its worker comes late
        assert left_of(house.store, whole) == ["tombstones"]
    else:
        assert house.told("ml.model.deletion-refused")[0]["used_by"] == [whole]
        assert await arbiter.find(house.store, explaining.id) is None, "nobody is ended for nothing"
        await known_models.recall(house.store, model)
        assert "tombstones" not in left_of(house.store, model)


async def test_a_model_that_is_gone_is_told_of_by_the_same_event(house: House) -> None:
    a = await house.made("a")
    whole = await house.made("whole", a)
    asked = await house.delete(a, cascade=True)
    await house.handle(asked)
    await house.delete(a)
    await house.delete(whole)
    told = [event for _, event in house.outcomes.events if event.name == "ml.model.deleted"]
    assert (len(told), len({event.id for event in told})) == (4, 1)
    assert house.outcomes.letters == []


async def test_a_deleted_model_does_not_come_back_when_its_job_is_told_again(house: House) -> None:
    model = await house.made("job")
    outcome = await arbiter.find(house.store, "job")
    assert outcome is not None
    await house.delete(model)
    await known_models.remember(house.store, outcome)
    assert left_of(house.store, model) == ["tombstones"]
    assert (await house.refusal_of(model)).reason is ReasonCode.MODEL_DELETED


async def test_what_was_not_told_of_before_is_told_first(house: House) -> None:
    """Its worker has written the record and died."""
    model = await house.made("job")
    house.outcomes.events.clear()
    await house.store.delete("jobs/job/published/e1")
    await house.delete(model)
    assert house.outcomes.names() == ["ml.model.completed", "ml.job.completed", "ml.model.deleted"]


async def test_damage_leaves_everything_as_it_was_and_says_so(house: House) -> None:
    one, two = await house.made("one"), await house.made("two")
    await house.made("whole", one, two)
    await house.store.put("jobs/whole/outcome.json", b"{")
    asked = await house.delete(one)
    assert [(x.reason, "jobs/whole" in x.message) for x in house.outcomes.letters] == [("store_damaged", True)]
    await known_models.recall(house.store, one)
    # The remedy is followed, and the job begins anew. What it had made is there all the same.
    await house.store.delete_all("jobs/whole")
    await house.handle(asked)  # sent back
    assert house.told("ml.model.deletion-refused")[0]["used_by"] == [model_id_of("whole")]
    await house.delete(one, cascade=True)
    assert house.told("ml.model.deleted")[0]["with_models"] == [model_id_of("whole")]


async def test_a_model_whose_record_is_damaged_can_be_deleted(house: House) -> None:
    model = await house.made("job")
    await house.store.put(f"models/{model}/record.json", b"[")
    await house.store.put("jobs/job/outcome.json", b"[")
    await house.delete(model)
    assert house.outcomes.names()[-1] == "ml.model.deleted"
    assert left_of(house.store, model) == ["tombstones"]


async def test_a_tombstone_that_is_not_decided_yet_holds_back_users_and_a_refused_one_does_not(house: House) -> None:
    model = await house.made("job")
    asked = deletion(model, requested_by="ada").identify()
    await tombstones.put_up(house.store, model, asked)
    assert "is being deleted, as ada asked" in (await house.refusal_of(model)).message
    with pytest.raises(OmniScopeError, match="is being deleted"):
        await at_work(house.store, "late", EXPLANATION, model)
    refused = arbiter.RecordedEvent(topic="t", event=asked.event)
    await tombstones.end(house.store, tombstones.Ending(request=tombstones.name_of(asked), told=refused))
    await known_models.recall(house.store, model)
    await at_work(house.store, "later", EXPLANATION, model)


async def test_borrowing_again_and_giving_back_change_nothing_else(house: House) -> None:
    model = await house.made("job")
    job = await at_work(house.store, "explaining", EXPLANATION, model, model)
    await uses.borrow(house.store, [model], job.request)
    assert await uses.users_of(house.store, model) == ["explaining"]
    told = json.loads(house.store.objects[f"models/{model}/used_by/explaining.json"])
    assert (told["job_id"], told["kind"]) == ("explaining", "explanation")
    await uses.give_back(house.store, [model, model], "explaining")
    await uses.give_back(house.store, [model], "explaining")
    assert await uses.users_of(house.store, model) == []


async def test_the_janitor_finishes_what_was_cut_off_and_what_came_back(house: House) -> None:
    gone, stays = await house.made("gone"), await house.made("stays")
    await house.delete(gone)
    await house.store.put(f"models/{gone}/explanations/late.json", b"{}")
    await tombstones.put_up(house.store, stays, deletion(stays).identify())
    swept = await janitor.sweep(house.store)
    assert swept.keys == 1
    assert left_of(house.store, gone) == ["tombstones"]
    assert left_of(house.store, stays) == ["attempt-1", "record.json", "tombstones"]


async def test_a_record_that_is_written_while_the_model_goes_does_not_stay(house: House) -> None:
    model = await house.made("job")
    outcome = await arbiter.find(house.store, "job")
    assert outcome is not None
    put = house.store.put

    async def late(key: str, data: bytes) -> None:
        house.store.put = put  # type: ignore[method-assign]
        await house.delete(model)
        await put(key, data)

    house.store.put = late  # type: ignore[method-assign]
    await known_models.remember(house.store, outcome)
    assert left_of(house.store, model) == ["tombstones"]


async def test_other_workers_look_soon_once_they_hear_of_a_deletion(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_LOOK_S", 3600.0)
    monkeypatch.setattr(running, "_LOOK_SOON_S", 0.0)
    model = await house.made("model")
    await at_work(house.store, "explaining", EXPLANATION, model)
    elsewhere, begun = Running(), asyncio.Event()

    async def in_hand() -> None:
        async with elsewhere.in_hand("explaining"):
            begun.set()
            await asyncio.Event().wait()

    worker = asyncio.create_task(in_hand())
    watch = asyncio.create_task(elsewhere.stop_what_has_ended(house.store))
    await begun.wait()
    elsewhere.expect_ends()
    await house.delete(model)
    with pytest.raises(Stopped):
        await worker
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_a_lost_log_is_told_of_deletions_and_asked_for_those_that_were_begun(house: House) -> None:
    class Log:
        epoch, complete_until = "new", 1000.0

        def holds(self, *_: Any) -> bool:
            return True

    gone, going = await house.made("gone"), await house.made("going")
    await house.delete(gone)
    asked = deletion(going).identify()
    key = tombstones.request_key(tombstones.name_of(asked))
    await house.store.put(key, asked.event.model_dump_json(exclude_none=True).encode())
    written = {key: 1000.0 for key in house.store.objects if key.startswith("deletions/")}
    house.outcomes.events.clear()
    await revive(house.store, house.outcomes, Log(), written)  # type: ignore[arg-type] # publishes nothing of jobs
    told = {event.name: event.subject for _, event in house.outcomes.events}
    assert told == {"ml.model.deleted": gone, "ml.model-deletion.requested": going}
    old = {key: 0.0 for key in written if gone in house.store.objects[key].decode()}
    house.outcomes.events.clear()
    await revive(house.store, house.outcomes, Log(), old)  # type: ignore[arg-type]
    assert house.outcomes.events == [], "the log still holds what was told long ago"
