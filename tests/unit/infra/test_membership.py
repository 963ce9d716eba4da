"""A lease is held only while the group has confirmed it lately and its assignment is known."""

import asyncio
from pathlib import Path

from support.lives import House, noop

from infra.execution.messages import Finished
from infra.jobs import arbiter
from infra.kafka.membership import Membership


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def is_held(membership: Membership) -> bool:
    waiting = asyncio.ensure_future(membership.held())
    await asyncio.sleep(0)
    held = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return held


async def test_a_worker_that_was_frozen_holds_nothing_until_the_group_has_answered() -> None:
    clock = Clock()
    membership = Membership(10.0, clock)
    assert await is_held(membership)
    clock.now += 9
    assert not await is_held(membership)
    membership.confirm()
    assert await is_held(membership)


async def test_a_heartbeat_confirms_nothing_while_the_partitions_are_shared_out() -> None:
    membership = Membership(10.0, Clock())
    membership.unsettle()
    membership.confirm()
    assert not await is_held(membership)
    membership.settle()
    assert await is_held(membership)


async def test_who_waits_for_the_assignment_goes_on_with_it() -> None:
    membership = Membership(10.0, Clock())
    membership.unsettle()
    waiting = asyncio.ensure_future(membership.held())
    membership.confirm()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    membership.settle()
    await asyncio.wait_for(waiting, 10)


async def test_a_job_that_ends_while_its_lease_is_in_doubt_is_decided_by_who_holds_it(tmp_path: Path) -> None:
    """The handler of a frozen worker runs on. Its result must not count before it is known whose job it is."""
    house = House(tmp_path, [Finished(summary="of a zombie", model=None, profile=None, record={})])
    membership = Membership(10.0, Clock())
    ran = asyncio.Event()
    submit = house.executor.submit

    async def submit_and_freeze(task):
        membership.unsettle()
        ran.set()
        return await submit(task)

    house.executor.submit = submit_and_freeze
    house.lease = membership
    living = asyncio.ensure_future(house.handle(noop()))
    await asyncio.wait_for(ran.wait(), 10)
    for _ in range(50):
        await asyncio.sleep(0.01)
    assert await arbiter.find(house.store, "job-1") is None
    membership.settle()
    await asyncio.wait_for(living, 10)
    ended = await arbiter.find(house.store, "job-1")
    assert ended is not None
    assert ended.status == "completed"


async def test_a_worker_that_is_frozen_between_claim_and_start_starts_nothing_before_it_knows(tmp_path: Path) -> None:
    house = House(tmp_path, [Finished(summary="done", model=None, profile=None, record={})])
    publish = house.outcomes.publish

    async def publish_and_freeze(topic, event):
        await publish(topic, event)
        if event.name == "ml.job.started":
            house.lease.sure.clear()

    house.outcomes.publish = publish_and_freeze
    living = asyncio.ensure_future(house.handle(noop()))
    await asyncio.wait_for(house.outcomes.heard(lambda event: event.name == "ml.job.started"), 10)
    await asyncio.sleep(0.5)  # nothing tells that somebody waits
    assert not house.executor.submitted.is_set()
    house.lease.sure.set()
    await asyncio.wait_for(living, 10)
    assert house.executor.submitted.is_set()
