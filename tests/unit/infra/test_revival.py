"""What a log has lost is told again from the store; what it still holds, and what had ended long ago, is left alone."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from support.fakes import MemoryStore, RecordedOutcomes

from events.envelope import CloudEvent, full_type, headers_of
from events.outcomes import DatasetRegistered, JobStatus
from events.topics import Topic
from infra.jobs import claims
from infra.jobs.arbiter import Outcome, RecordedEvent
from infra.jobs.catalogue import Catalogue, Manifest
from infra.jobs.claims import Ownership
from infra.jobs.delivery import Delivery
from infra.jobs.revival import revive

NOW = time.time()
LONG_AGO = NOW - 3600


@dataclass
class Left:
    """A log that is complete up to now and holds these records."""

    epoch: str
    held: set[int] = field(default_factory=set)
    complete_until: float = NOW

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        return offset in self.held


class Published(RecordedOutcomes):
    """Outcomes that stand at 100, 101, … of partition 0."""

    async def publish_at(self, topic: str, event: CloudEvent) -> tuple[int, int]:
        await self.publish(topic, event)
        return 0, 99 + len(self.events)


def delivery_of(event: CloudEvent, epoch: str, offset: int = 0) -> Delivery:
    return Delivery(
        epoch, Topic.NOOP, 0, offset, int(time.time() * 1000), None, event.to_bytes(), tuple(headers_of(event))
    )


def asked(job_id: str, **data: Any) -> CloudEvent:
    return CloudEvent(source="test", type=full_type("ml.noop.requested"), subject=job_id, data=data)


async def claim(store: MemoryStore, job_id: str, epoch: str, offset: int = 0, **data: Any) -> None:
    delivery = delivery_of(asked(job_id, **data), epoch, offset)
    await claims.own(store, delivery.identify(), delivery)


async def end(store: MemoryStore, job_id: str) -> CloudEvent:
    told = CloudEvent(source="test", type=full_type("ml.job.completed"), subject=job_id, data={"job_id": job_id})
    outcome = Outcome(
        job_id=job_id,
        status=JobStatus.COMPLETED,
        attempt=1,
        events=[RecordedEvent(topic=Topic.JOBS, event=told)],
    )
    await store.create(f"jobs/{job_id}/outcome.json", outcome.model_dump_json().encode())
    return told


def written(store: MemoryStore, **lately: float) -> dict[str, float]:
    """Everything was written long ago, but for the jobs in `lately`."""
    return {key: lately.get(key.split("/")[1], LONG_AGO) for key in store.objects}


async def test_after_another_log_only_what_had_not_ended_is_published_again() -> None:
    store, outcomes = MemoryStore(), Published()
    await claim(store, "unfinished", "old", duration_s=3.0)
    await claim(store, "ended", "old")
    await end(store, "ended")
    await store.create("jobs/ended/published/old", b"")
    await claim(store, "untold", "old")
    await end(store, "untold")
    await claim(store, "running-now", "new")
    everything = written(store, ended=NOW)
    assert await revive(store, outcomes, Left("new", {0}), everything) == ["unfinished", "untold"]
    topic, event = outcomes.events[0]
    assert (topic, event.subject, event.data) == (Topic.NOOP, "unfinished", {"duration_s": 3.0})
    assert len(outcomes.events) == 2


async def test_after_another_log_the_new_delivery_owns_the_job_and_it_is_not_revived_twice() -> None:
    store, outcomes = MemoryStore(), Published()
    await claim(store, "unfinished", "old")
    await revive(store, outcomes, Left("new"), written(store))
    again = delivery_of(outcomes.events[0][1], "new", offset=100)
    assert await claims.own(store, again.identify(), again) is Ownership.OURS
    assert await revive(store, outcomes, Left("new", {100}), written(store)) == []


async def test_a_claimed_request_that_the_log_has_lost_comes_again_and_owns_the_job() -> None:
    store, outcomes = MemoryStore(), Published()
    await claim(store, "kept", "same", offset=3)
    await claim(store, "lost", "same", offset=4, steps=2)
    await claims.start_attempt(store, "lost", "w", "token", 3)
    assert await revive(store, outcomes, Left("same", {3}), written(store)) == ["lost"]
    ((topic, event),) = outcomes.events
    assert (topic, event.subject, event.data) == (Topic.NOOP, "lost", {"steps": 2})
    again = delivery_of(event, "same", offset=100)
    assert await claims.own(store, again.identify(), again) is Ownership.OURS
    assert await claims.start_attempt(store, "lost", "w", "another", 3) == 2, "the attempt that was cut off counts"


async def test_what_came_in_place_of_a_lost_request_may_be_lost_as_well() -> None:
    store, outcomes = MemoryStore(), Published()
    await claim(store, "twice", "old")
    for offset in (100, 101):
        assert await revive(store, outcomes, Left("same"), written(store)) == ["twice"]
        again = delivery_of(outcomes.events[-1][1], "same", offset=offset)
        assert await claims.own(store, again.identify(), again) is Ownership.OURS
    assert await revive(store, outcomes, Left("same", {101}), written(store)) == []


async def test_a_request_that_was_revived_twice_before_anybody_read_it_runs_once() -> None:
    store, outcomes = MemoryStore(), Published()
    await claim(store, "lost", "same", offset=4)
    for _ in range(2):  # everything died again before the first one was read
        assert await revive(store, outcomes, Left("same"), written(store)) == ["lost"]
    owners = []
    for offset, (_, event) in zip((100, 101), outcomes.events, strict=True):
        delivery = delivery_of(event, "same", offset)
        owners.append(await claims.own(store, delivery.identify(), delivery))
    assert owners == [Ownership.OURS, Ownership.REPEATED]


async def test_whoever_reads_a_revived_request_at_once_owns_the_job_for_good() -> None:
    class ReadAtOnce(Published):
        async def publish_at(self, topic: str, event: CloudEvent) -> tuple[int, int]:
            partition, offset = await super().publish_at(topic, event)
            delivery = delivery_of(event, "same", offset)
            assert await claims.own(store, delivery.identify(), delivery) is Ownership.OURS
            return partition, offset

    store, outcomes = MemoryStore(), ReadAtOnce()
    await claim(store, "lost", "same", offset=4)
    assert await revive(store, outcomes, Left("same"), written(store)) == ["lost"]
    (_, event) = outcomes.events[-1]
    again = delivery_of(event, "same", 100)
    assert await claims.own(store, again.identify(), again) is Ownership.OURS


async def test_ends_that_were_told_shortly_before_are_told_again_and_older_ones_are_not() -> None:
    store, outcomes = MemoryStore(), Published()
    ends = {}
    for offset, job_id in enumerate(("lately", "long-ago")):
        await claim(store, job_id, "same", offset=offset)
        ends[job_id] = await end(store, job_id)
        await store.create(f"jobs/{job_id}/published/same", b"")
    assert await revive(store, outcomes, Left("same", {0, 1}), written(store, lately=NOW - 5)) == []
    assert outcomes.events == [(Topic.JOBS, ends["lately"])]


async def test_a_dataset_that_was_registered_shortly_before_is_told_of_again() -> None:
    store, outcomes = MemoryStore(), Published()
    for name in ("lately", "long-ago"):
        dataset = DatasetRegistered(
            dataset_id=name,
            name=name,
            uri=f"/{name}",
            format="csv",
            sha256="0" * 64,
            size_bytes=1,
            n_rows=1,
            n_columns=1,
            n_missing=0,
            columns=[],
            registered_at=datetime.now(UTC),
        )
        event = CloudEvent(source="test", type=full_type("ml.dataset.registered"), subject=name, data={})
        await Catalogue(store).add(Manifest(dataset=dataset, event=event))
    await revive(store, outcomes, Left("same"), written(store, lately=NOW + 1))
    assert [(topic, event.subject) for topic, event in outcomes.events] == [(Topic.DATASETS, "lately")]


async def test_what_is_damaged_keeps_nobody_else_from_being_told_again() -> None:
    store, outcomes = MemoryStore(), Published()
    for job_id in ("damaged", "unfinished"):
        await claim(store, job_id, "old")
    store.objects["jobs/damaged/request.json"] = b'{"content_sha'
    store.objects["jobs/odd/request.json"] = b"[1]"
    store.objects["datasets/d/manifest.json"] = b"{"
    await revive(store, outcomes, Left("new"), written(store))
    assert [event.subject for _, event in outcomes.events] == ["unfinished"]
