"""After the broker lost its log, what had not ended is asked for again; what had ended is left alone."""

import json
import time
from typing import Any

from support.fakes import MemoryStore, RecordedOutcomes

from events.envelope import CloudEvent, full_type, headers_of
from events.topics import Topic
from infra.jobs import claims
from infra.jobs.claims import Ownership
from infra.jobs.delivery import Delivery
from infra.jobs.revival import revive


def delivery_of(event: CloudEvent, epoch: str, offset: int = 0) -> Delivery:
    return Delivery(
        epoch, Topic.NOOP, 0, offset, int(time.time() * 1000), None, event.to_bytes(), tuple(headers_of(event))
    )


async def claim(store: MemoryStore, job_id: str, epoch: str, **data: Any) -> None:
    event = CloudEvent(source="test", type=full_type("ml.noop.requested"), subject=job_id, data=data)
    await claims.own(store, delivery_of(event, epoch).identify(), delivery_of(event, epoch))


async def test_only_what_had_not_ended_in_another_log_is_published_again() -> None:
    store, outcomes = MemoryStore(), RecordedOutcomes()
    await claim(store, "unfinished", "old", duration_s=3.0)
    await claim(store, "ended", "old")
    await store.create("jobs/ended/outcome.json", b"{}")
    await store.create("jobs/ended/published/old", b"")
    await claim(store, "untold", "old")
    await store.create("jobs/untold/outcome.json", b"{}")
    await claim(store, "running-now", "new")
    assert await revive(store, outcomes, "new") == ["unfinished", "untold"]
    topic, event = outcomes.events[0]
    assert (topic, event.subject, event.data) == (Topic.NOOP, "unfinished", {"duration_s": 3.0})


async def test_what_is_revived_is_owned_by_its_new_delivery_and_is_not_revived_twice() -> None:
    store, outcomes = MemoryStore(), RecordedOutcomes()
    await claim(store, "unfinished", "old")
    await revive(store, outcomes, "new")
    again = delivery_of(outcomes.events[0][1], "new", offset=5)
    assert await claims.own(store, again.identify(), again) is Ownership.OURS
    assert json.loads(store.objects["jobs/unfinished/request.new.json"])["delivery"]["offset"] == 5
    assert await revive(store, outcomes, "new") == []
