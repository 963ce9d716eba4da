"""Stopping jobs on real brokers: running, waiting, unknown and ended ones."""

from pathlib import Path

import pytest
from support.broker import Broker
from support.house import ENDS, House, open_house

pytestmark = pytest.mark.slow


async def cancelled(house: House, job_id: str) -> dict[str, object]:
    ended = await house.ended(job_id)
    assert ended.name == "ml.job.cancelled", ended.data
    return ended.data


async def test_jobs_are_stopped_wherever_they_are(tmp_path: Path, both_brokers: Broker) -> None:
    async with open_house(tmp_path, "noop", broker=both_brokers, worker_slots=1) as house:
        await house.ask("ml.noop.requested", "running", duration_s=600, steps=600, behaviour="hang")
        await house.heard("ml.job.started", "running")
        await house.ask("ml.noop.requested", "waiting", duration_s=600)
        await house.ask("ml.cancellation.requested", "waiting", requested_by="ada")
        await house.ask("ml.cancellation.requested", "running", requested_by="grace")
        told = await cancelled(house, "running")
        assert (told["requested_by"], told["attempt"]) == ("grace", 1)
        told = await cancelled(house, "waiting")
        assert (told["requested_by"], told["attempt"]) == ("ada", 0)

        # Nobody knows this one yet: the intent is kept, and it never starts.
        await house.ask("ml.cancellation.requested", "later")
        # The slot is free again, and what has ended stays so.
        await house.ask("ml.noop.requested", "quick")
        assert (await house.ended("quick")).name == "ml.job.completed"
        await house.ask("ml.cancellation.requested", "quick", requested_by="alan")
        refused = await house.heard("ml.job.cancellation-refused", "quick")
        assert refused.data == {"job_id": "quick", "status": "completed", "requested_by": "alan"}

        await house.ask("ml.noop.requested", "later")
        assert (await cancelled(house, "later"))["attempt"] == 0
        started = {event.subject for event in house.events if event.name == "ml.job.started"}
        assert started == {"running", "quick"}
        # Arbiter and worker may both tell an end; it is the same event then.
        ends = {(e.subject, e.id) for e in house.events if e.name in ENDS}
        assert sorted(subject for subject, _ in ends) == ["later", "quick", "running", "waiting"]
        assert house.letters == []
