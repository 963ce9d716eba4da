"""Slots: so many at a time, light work beside them, and a drain that waits for what was begun."""

import asyncio

from infra.jobs.slots import Slots


async def test_light_work_never_waits_behind_a_training() -> None:
    slots = Slots(training=1)
    async with slots.one(light=False), slots.one(light=True):
        waiting = asyncio.create_task(_pass_through(slots))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_drain_waits_until_an_end_is_told_and_starts_nothing() -> None:
    slots = Slots(training=1)
    told = asyncio.Event()

    async def job() -> None:
        async with slots.one(light=False):
            await asyncio.sleep(0)
        with slots.busy():
            await told.wait()

    running = asyncio.create_task(job())
    await asyncio.sleep(0)
    draining = asyncio.create_task(slots.drain(60))
    late = asyncio.create_task(_pass_through(slots))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    assert not late.done()
    told.set()
    assert await draining is True
    await running
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)


async def test_a_drain_gives_up_in_time() -> None:
    slots = Slots(training=1)
    with slots.busy():
        assert await slots.drain(0.0) is False


async def _pass_through(slots: Slots) -> None:
    async with slots.one(light=False):
        pass
