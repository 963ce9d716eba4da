"""The life of a job, against small fakes: what is published, in which order, and what a second delivery does."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from support.fakes import WHEN_STOPPED
from support.lives import House, noop

from events.envelope import CloudEvent, full_type
from events.errors import ReasonCode
from events.identifiers import model_id_of
from events.topics import Topic
from infra.execution.messages import Crashed, Failed, Finished, Progressed
from infra.jobs.arbiter import Outcome
from infra.jobs.faults import LastResort
from infra.jobs.lifecycle import Lifecycle

DONE = Finished(summary="Done")


@pytest.fixture(autouse=True)
def nobody_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.jobs.claims.LAST_GIVE_BACK_S", 0.0)


async def test_a_request_is_started_told_of_and_completed(tmp_path: Any) -> None:
    house = House(tmp_path, [Progressed(percent=50, message="Half way"), DONE])
    await house.handle(noop(created_by="ada"))
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]
    done = house.outcomes.one("ml.job.completed")
    assert done.subject == "job-1"
    assert done.data["attempt"] == 1
    assert done.data["request"] == {"created_by": "ada"}
    words = [e.data["message"] for _, e in house.outcomes.events if e.name == "ml.job.progressed"]
    assert words[-1] == "Half way"
    assert not (tmp_path / "work" / "job-1").exists(), "the attempt's folder is left behind"


async def test_the_same_delivery_again_says_nothing_new(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    await house.handle(noop())
    before = list(house.outcomes.events)
    await house.handle(noop())
    assert house.outcomes.events == before
    assert len(house.executor.tasks) == 1


async def test_dying_before_publication_the_next_delivery_tells_exactly_what_was_recorded(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    await house.handle(noop())
    told = house.outcomes.one("ml.job.completed")
    del house.store.objects["jobs/job-1/published/e1"]
    house.outcomes.events.clear()
    await house.handle(noop())
    assert [event for _, event in house.outcomes.events] == [told]


async def test_another_delivery_of_the_same_content_never_runs_and_is_told_the_end(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    await house.handle(noop())
    told = house.outcomes.one("ml.job.completed")
    await house.handle(noop(offset=7))
    assert [e for _, e in house.outcomes.events if e.name == "ml.job.completed"] == [told, told]
    assert len(house.executor.tasks) == 1
    assert house.outcomes.letters == []


async def test_other_content_under_the_same_id_is_a_dead_letter_and_leaves_the_job_alone(tmp_path: Any) -> None:
    house = House(tmp_path, [])
    running = asyncio.create_task(house.handle(noop(duration_s=1)))
    await house.executor.submitted.wait()
    await house.handle(noop(offset=7, duration_s=2))
    (letter,) = house.outcomes.letters
    assert letter.reason == ReasonCode.JOB_ID_REUSED
    assert letter.offset == 7
    assert letter.value == noop(offset=7, duration_s=2).value or json.loads(letter.value or b"")["data"] == {
        "duration_s": 2
    }
    assert not house.executor.runs[0].killed
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (Failed(reason="no_features", message="no column is left"), "no_features"),
        (Crashed(exit_code=-9), "crashed"),
        (Crashed(exit_code=-9, out_of_memory=True), "out_of_memory"),
    ],
)
async def test_a_failure_of_the_job_is_told_once_and_not_tried_again(tmp_path: Any, last: Any, reason: str) -> None:
    house = House(tmp_path, [last])
    await house.handle(noop())
    failed = house.outcomes.one("ml.job.failed")
    assert failed.data["error"]["reason"] == reason
    assert len(failed.data["error"]["message"]) > 15


async def test_a_result_that_no_broker_takes_is_a_failure_and_not_a_silence(tmp_path: Any) -> None:
    house = House(tmp_path, [Finished(summary="w" * 2_000_000)])
    await house.handle(noop())
    assert house.outcomes.names() == ["ml.job.started", "ml.job.failed"]
    assert house.outcomes.one("ml.job.failed").data["error"]["reason"] == "event_too_large"


async def test_an_invalid_request_that_owns_its_id_fails_with_the_field(tmp_path: Any) -> None:
    house = House(tmp_path)
    await house.handle(noop(durations=3))
    failed = house.outcomes.one("ml.job.failed")
    assert failed.data["error"] == {
        "reason": "unknown_field",
        "message": "data.durations is not a field of this request",
    }
    assert failed.data["attempt"] == 0


async def test_a_record_that_is_no_event_is_a_dead_letter_with_its_bytes(tmp_path: Any) -> None:
    house = House(tmp_path)
    broken = replace(noop(), value=b"\xff\x00 no json", headers=(("content-type", b"text/plain"),))
    await house.handle(broken)
    (letter,) = house.outcomes.letters
    assert (letter.value, letter.key, letter.headers) == (broken.value, broken.key, broken.headers)
    assert letter.reason == "not_json"
    assert house.store.objects == {}


async def test_a_job_given_back_does_not_use_up_an_attempt_but_a_lost_worker_does(tmp_path: Any) -> None:
    house = House(tmp_path, [], [DONE])
    running = asyncio.create_task(house.handle(noop()))
    await house.executor.submitted.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert house.executor.runs[0].killed
    assert "jobs/job-1/attempts/1/released.json" in house.store.objects
    assert house.outcomes.names() == ["ml.job.started"]

    for number in (2, 3):  # two workers that died without a word
        house.store.objects[f"jobs/job-1/attempts/{number}/claim.json"] = b"{}"
    await house.handle(noop())
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 4


async def test_a_job_whose_workers_died_too_often_ends_as_worker_lost(tmp_path: Any) -> None:
    house = House(tmp_path)
    for number in (1, 2, 3):
        house.store.objects[f"jobs/job-1/attempts/{number}/claim.json"] = b"{}"
    await house.handle(noop())
    assert house.outcomes.one("ml.job.failed").data["error"]["reason"] == "worker_lost"
    assert house.executor.tasks == []


async def test_worker_lost_tells_how_often_and_leaves_no_files_of_the_lost(tmp_path: Any) -> None:
    house = House(tmp_path)
    model = f"models/{model_id_of('job-1')}"
    for number in (1, 2, 3):
        house.store.objects[f"jobs/job-1/attempts/{number}/claim.json"] = b"{}"
        house.store.objects[f"{model}/attempt-{number}/MLmodel"] = b"half"
    house.store.objects[f"{model}/used_by/another"] = b"{}"
    await house.handle(noop())
    assert house.outcomes.one("ml.job.failed").data["attempt"] == 3
    assert [key for key in house.store.objects if key.startswith("models/")] == [f"{model}/used_by/another"]


async def test_an_ended_job_is_told_again_in_a_new_log(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    await house.handle(noop())
    told = house.outcomes.one("ml.job.completed")
    house.outcomes.events.clear()
    await house.handle(replace(noop(), epoch="e2"))
    assert [event for _, event in house.outcomes.events] == [told]


async def test_without_a_broker_a_finished_job_is_recorded_all_the_same(tmp_path: Any) -> None:
    house = House(tmp_path, [Progressed(percent=50, message="Half way"), DONE])
    publish, away = house.outcomes.publish, asyncio.Event()

    async def publish_when_back(topic: str, event: CloudEvent) -> None:
        if event.name != "ml.job.started":
            await away.wait()
        await publish(topic, event)

    house.outcomes.publish = publish_when_back  # type: ignore[method-assign]
    job = asyncio.create_task(house.handle(noop()))
    await house.store.written("jobs/job-1/outcome.json")
    assert house.outcomes.names() == ["ml.job.started"]
    away.set()
    await job
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]


async def test_a_fault_of_ours_is_a_dead_letter_and_not_an_endless_repetition(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    monkeypatch.setattr("infra.jobs.claims.own", None)
    await LastResort(Lifecycle(house.tools), house.outcomes).handle(noop(), house.lease)
    (letter,) = house.outcomes.letters
    assert letter.reason == "internal_error"
    assert "TypeError" in letter.message


async def test_what_the_infrastructure_does_is_raised_to_be_tried_again(tmp_path: Any) -> None:
    house = House(tmp_path)

    async def full(key: str, data: bytes) -> bool:
        raise OSError("no space left on device")

    house.store.create = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no space"):
        await LastResort(Lifecycle(house.tools), house.outcomes).handle(noop(), house.lease)
    assert house.outcomes.letters == []


async def test_in_doubt_about_the_group_nothing_is_started_or_published(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    house.lease.sure.clear()
    job = asyncio.create_task(house.handle(noop()))
    await house.store.written("jobs/job-1/request.json")
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.executor.tasks == []
    assert house.outcomes.events == []
    house.lease.sure.set()
    await job
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]


async def test_a_job_that_was_ended_while_it_waited_for_a_slot_never_starts(tmp_path: Any) -> None:
    house = House(tmp_path, [], [DONE])
    first = asyncio.create_task(house.handle(noop("first")))
    await house.executor.submitted.wait()
    second = asyncio.create_task(house.handle(noop("second", offset=1)))
    await house.store.written("jobs/second/request.json")
    ended = House(tmp_path, [DONE])
    ended.tools = replace(ended.tools, store=house.store)
    await ended.handle(noop("second", offset=1))  # another worker that owns the partition by now
    first.cancel()
    await second
    assert len(house.executor.tasks) == 1
    await asyncio.gather(first, return_exceptions=True)


async def test_what_is_lost_between_the_end_of_the_work_and_the_decision_does_not_count(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def undecided(*_: Any) -> Outcome:
        reached.set()
        return await asyncio.get_running_loop().create_future()

    house = House(tmp_path, [DONE], [DONE])
    with monkeypatch.context() as patch:
        patch.setattr("infra.jobs.lifecycle.arbiter.decide", undecided)
        job = asyncio.create_task(house.handle(noop()))
        await reached.wait()
        job.cancel()  # the broker was away, and the partition is somebody else's now
        await asyncio.gather(job, return_exceptions=True)
    assert "jobs/job-1/attempts/1/released.json" in house.store.objects
    await house.handle(noop())
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 2


async def test_a_start_waits_for_the_one_before_to_be_given_back(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    await house.store.create("jobs/job-1/attempts/1/claim.json", b'{"worker": "w0", "token": "t0"}')
    job = asyncio.create_task(house.handle(noop()))
    await house.store.written("jobs/job-1/request.json")
    await asyncio.sleep(0.1)  # nothing tells that somebody waits
    assert not house.executor.submitted.is_set()
    await house.store.create("jobs/job-1/attempts/1/released.json", b"{}")
    await job
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 2


async def test_what_ended_while_the_start_waited_is_told_and_not_run_again(tmp_path: Any) -> None:
    house, other = House(tmp_path), House(tmp_path, [DONE])
    other.tools = replace(other.tools, store=house.store)
    await other.handle(noop())
    outcome = house.store.objects.pop("jobs/job-1/outcome.json")
    del house.store.objects["jobs/job-1/published/e1"]
    job = asyncio.create_task(house.handle(noop()))
    await asyncio.sleep(0.1)  # it waits for the attempt before; nothing tells that
    await house.store.create("jobs/job-1/outcome.json", outcome)
    await job
    assert house.executor.tasks == []
    assert house.outcomes.names() == ["ml.job.completed"]


async def test_a_last_attempt_that_is_given_back_late_is_no_loss(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.jobs.claims.GIVE_BACK_S", 0.0)
    monkeypatch.setattr("infra.jobs.claims.LAST_GIVE_BACK_S", 60.0)
    house = House(tmp_path, [DONE])
    house.tools = replace(house.tools, max_attempts=1)
    await house.store.create("jobs/job-1/attempts/1/claim.json", b'{"worker": "w0", "token": "t0"}')
    job = asyncio.create_task(house.handle(noop()))
    await house.store.written("jobs/job-1/request.json")
    await house.store.create("jobs/job-1/attempts/1/released.json", b"{}")
    await job
    assert house.outcomes.names() == ["ml.job.started", "ml.job.completed"]


async def test_a_dead_worker_gives_nothing_back_and_is_waited_for_a_moment_only(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.jobs.claims.GIVE_BACK_S", 0.1)
    house = House(tmp_path, [DONE])
    await house.store.create("jobs/job-1/attempts/1/claim.json", b'{"worker": "w0", "token": "t0"}')
    await house.handle(noop())
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 2


async def test_a_time_limit_asks_softly_and_then_kills(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.jobs.deadline.GRACE_S", 0.0)
    house = House(tmp_path, [])
    asked = noop(timeout_s=1)
    await house.handle(asked)
    assert house.executor.runs[0].stopped_softly.is_set()
    assert house.outcomes.one("ml.job.failed").data["error"]["reason"] == "timed_out"


async def test_how_far_it_came_in_its_time_is_told_and_not_how_it_wound_up(tmp_path: Any) -> None:
    winding_up = [WHEN_STOPPED, Progressed(percent=100, message="Finished"), DONE]
    house = House(tmp_path, [Progressed(percent=50, message="Half way"), *winding_up])
    await house.handle(noop(timeout_s=1))
    failed = house.outcomes.one("ml.job.failed").data
    assert failed["error"]["reason"] == "timed_out"
    assert "at 50 %: Half way" in failed["error"]["message"]


async def test_an_unknown_dataset_is_named(tmp_path: Any) -> None:
    house = House(tmp_path)
    event = CloudEvent(
        source="test",
        type=full_type("ml.automl.requested"),
        subject="job-1",
        data={"dataset_id": "cohort-9", "target_column": "outcome"},
    )
    await house.handle(replace(noop(), topic=Topic.AUTOML, value=event.to_bytes()))
    error = house.outcomes.one("ml.job.failed").data["error"]
    assert error["reason"] == "dataset_unknown"
    assert "cohort-9" in error["message"]


async def test_the_first_delivery_of_a_new_log_takes_over_an_unfinished_job(tmp_path: Any) -> None:
    house = House(tmp_path, [], [DONE])
    lost = asyncio.create_task(house.handle(noop(offset=3)))
    await house.executor.submitted.wait()
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    await house.handle(replace(noop(offset=0), epoch="e2"))
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 2
    await house.handle(replace(noop(offset=5), epoch="e2"))
    assert len(house.executor.tasks) == 2
