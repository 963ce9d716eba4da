"""Stopping a job, against small fakes: before it is known, while it waits or runs, and after it has ended."""

import asyncio
import json
from typing import Any

import pytest
from support.lives import House, cancellation, noop

from events.envelope import CloudEvent
from events.errors import ReasonCode
from events.outcomes import JobStatus
from events.vocabulary import identify
from infra.execution.messages import Finished, Progressed
from infra.jobs import arbiter
from infra.jobs.cancellation import Cancellation
from infra.jobs.delivery import Delivery
from infra.jobs.running import Running, Stopped

DONE = Finished(summary="Done")


async def arbitrate(house: House, delivery: Delivery) -> None:
    await Cancellation(house.store, house.outcomes).handle(delivery, house.lease)


async def test_a_running_job_is_killed_and_ends_as_cancelled_with_how_far_it_came(tmp_path: Any) -> None:
    house = House(tmp_path, [Progressed(percent=40, message="Step 4 of 10", metrics={"loss": 0.5})])
    job = asyncio.create_task(house.handle(noop(created_by="ada")))
    await house.said("Step 4 of 10")
    asked = cancellation("job-1", requested_by="grace")
    assert house.tools.running.stop("job-1", asked.identify())
    await job
    assert house.executor.runs[0].killed
    assert house.outcomes.names() == ["ml.job.started", "ml.job.cancelled"]
    told = house.outcomes.one("ml.job.cancelled").data
    assert (told["requested_by"], told["attempt"], told["request"]) == ("grace", 1, {"created_by": "ada"})
    assert told["reached"] == {"percent": 40, "message": "Step 4 of 10", "metrics": {"loss": 0.5}}
    # The arbiter comes second, finds its own request granted, and has nothing to add.
    await arbitrate(house, asked)
    assert house.outcomes.names() == ["ml.job.started", "ml.job.cancelled"]


async def test_the_arbiter_may_be_first_and_the_worker_tells_the_same_event(tmp_path: Any) -> None:
    house = House(tmp_path, [])
    job = asyncio.create_task(house.handle(noop()))
    await house.executor.submitted.wait()
    asked = cancellation("job-1")
    await arbitrate(house, asked)
    house.tools.running.stop("job-1", asked.identify())
    await job
    assert {event.id for _, event in house.outcomes.events if event.name == "ml.job.cancelled"} == {
        house.outcomes.one("ml.job.cancelled").id
    }


async def test_a_job_that_waits_for_a_slot_never_starts(tmp_path: Any) -> None:
    house = House(tmp_path, [])
    first = asyncio.create_task(house.handle(noop("first")))
    await house.executor.submitted.wait()
    waiting = asyncio.create_task(house.handle(noop("waiting", offset=1)))
    await house.store.written("jobs/waiting/request.json")
    asked = cancellation("waiting")
    house.tools.running.stop("waiting", asked.identify())
    await waiting
    assert [task.task_id for task in house.executor.tasks] == ["first/1"]
    told = house.outcomes.one("ml.job.cancelled")
    assert (told.subject, told.data["attempt"], told.data["started_at"]) == ("waiting", 0, None)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_claimed_job_that_nobody_has_in_hand_is_ended_by_the_arbiter_alone(tmp_path: Any) -> None:
    house = House(tmp_path, [])
    job = asyncio.create_task(house.handle(noop()))
    await house.executor.submitted.wait()
    job.cancel()  # its partition is lost
    await asyncio.gather(job, return_exceptions=True)
    await arbitrate(house, cancellation("job-1"))
    assert house.outcomes.names() == ["ml.job.started", "ml.job.cancelled"]
    await house.handle(noop())  # the next owner of the partition
    assert house.outcomes.names() == ["ml.job.started", "ml.job.cancelled"]
    assert len(house.executor.tasks) == 1


async def test_an_unknown_job_leaves_an_intent_and_no_word_and_never_starts(tmp_path: Any) -> None:
    house = House(tmp_path)
    await arbitrate(house, cancellation("job-1", requested_by="grace"))
    assert house.outcomes.events == []
    assert list(house.store.objects) == ["jobs/job-1/cancellation.json"]
    await house.handle(noop())
    assert house.outcomes.names() == ["ml.job.cancelled"]
    assert house.outcomes.one("ml.job.cancelled").data["requested_by"] == "grace"
    assert house.executor.tasks == []


async def test_a_request_that_is_wrong_in_itself_is_cancelled_all_the_same(tmp_path: Any) -> None:
    house = House(tmp_path)
    await arbitrate(house, cancellation("job-1"))
    await house.handle(noop(duration_s="long"))
    assert house.outcomes.names() == ["ml.job.cancelled"]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_job_that_has_ended_stays_ended_and_the_asker_is_told(tmp_path: Any, times: int) -> None:
    house = House(tmp_path, [DONE])
    await house.handle(noop())
    for _ in range(times):  # a redelivery says the same again
        await arbitrate(house, cancellation("job-1", requested_by="grace", event_id="c1"))
    refused = [event for _, event in house.outcomes.events if event.name == "ml.job.cancellation-refused"]
    assert {event.id for event in refused} == {refused[0].id}
    assert refused[0].data == {"job_id": "job-1", "status": "completed", "requested_by": "grace"}
    outcome = await arbiter.find(house.store, "job-1")
    assert outcome is not None
    assert outcome.status is JobStatus.COMPLETED
    assert "jobs/job-1/cancellation.json" not in house.store.objects


async def test_the_second_who_asks_is_told_that_it_was_cancelled_before(tmp_path: Any) -> None:
    house = House(tmp_path)
    await arbitrate(house, cancellation("job-1", event_id="c1"))
    await house.handle(noop())
    await arbitrate(house, cancellation("job-1", event_id="c2"))
    assert house.outcomes.one("ml.job.cancellation-refused").data["status"] == "cancelled"


async def test_whoever_dies_between_deciding_and_telling_is_repeated_word_for_word(tmp_path: Any) -> None:
    house = House(tmp_path)
    asked = cancellation("job-1", event_id="c1")
    await arbitrate(house, asked)
    await house.handle(noop())
    told = house.outcomes.one("ml.job.cancelled")
    del house.store.objects["jobs/job-1/published/e1"]
    house.outcomes.events.clear()
    await arbitrate(house, asked)
    assert [event for _, event in house.outcomes.events] == [told]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"requested_by": ""}, ReasonCode.OUT_OF_RANGE),
        ({"why": "x"}, ReasonCode.UNKNOWN_FIELD),
        ({"job_id": "../x"}, ReasonCode.JOB_ID_INVALID),
        ({"job_id": "other"}, ReasonCode.SUBJECT_MISMATCH),
    ],
)
async def test_what_cannot_be_understood_is_a_dead_letter_and_stops_nothing(
    tmp_path: Any, data: dict[str, Any], reason: ReasonCode
) -> None:
    house = House(tmp_path)
    await arbitrate(house, cancellation("job-1", **data))
    (letter,) = house.outcomes.letters
    assert letter.reason == reason
    assert house.store.objects == {}


async def test_who_asked_a_moment_before_the_job_comes_into_hand_is_heard() -> None:
    running = Running()
    asked = identify_cancellation("late")
    assert not running.stop("late", asked)
    with pytest.raises(Stopped) as stopped:
        async with running.in_hand("late"):
            await asyncio.Event().wait()
    assert stopped.value.why is asked
    async with running.in_hand("another"):
        await asyncio.sleep(0)


async def test_a_storm_of_others_does_not_make_it_forget_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.jobs.running._REMEMBERED", 3)
    running = Running()
    asked = identify_cancellation("mine")

    async def in_hand_through_a_storm() -> None:
        async with running.in_hand("mine"):
            running.stop("mine", asked)
            for number in range(10):
                running.stop(f"other-{number}", identify_cancellation(f"other-{number}"))
            await asyncio.Event().wait()

    with pytest.raises(Stopped) as stopped:
        await in_hand_through_a_storm()
    assert stopped.value.why is asked


async def test_a_timeout_of_the_jobs_own_is_none_of_ours() -> None:
    running = Running()
    with pytest.raises(TimeoutError):
        async with running.in_hand("job"):
            raise TimeoutError


async def test_a_completion_that_races_a_cancellation_ends_once_whichever_wins(tmp_path: Any) -> None:
    for number in range(50):
        house = House(tmp_path, [DONE])
        asked = cancellation("job-1")
        racers = [house.handle(noop()), arbitrate(house, asked)]
        tasks = [asyncio.create_task(racer) for racer in racers]
        for _ in range(number % 25):  # another place to meet in every round
            await asyncio.sleep(0)
        house.tools.running.stop("job-1", asked.identify())
        await asyncio.gather(*tasks)
        ends = [e for _, e in house.outcomes.events if e.name in ("ml.job.completed", "ml.job.cancelled")]
        assert len({event.id for event in ends}) == 1
        outcome = json.loads(house.store.objects["jobs/job-1/outcome.json"])
        assert ends[0].name == f"ml.job.{outcome['status']}"
        refused = "ml.job.cancellation-refused" in house.outcomes.names()
        assert refused == (outcome["status"] == "completed")


def identify_cancellation(job_id: str) -> Any:
    delivery = cancellation(job_id)
    event = CloudEvent.model_validate_json(delivery.value or b"")
    assert event.subject == job_id
    return identify(delivery.topic, delivery.key, delivery.value, delivery.headers)
