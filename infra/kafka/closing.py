"""Ending what speaks to a broker while the broker is away: in order where that can be, in time always."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


async def at_most(seconds: float, work: Coroutine[Any, Any, Any]) -> None:
    """Returns when the work has come to its end or its time is up. Not wait_for, which waits on for what hangs."""
    done, _ = await asyncio.wait([task := asyncio.ensure_future(work)], timeout=seconds)
    if task not in done:
        task.cancel()
        log.warning("not_stopped_in_time", after_s=seconds)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("not_stopped_in_order", error=repr(error))


async def stop(consumer: Any) -> None:
    """Stops a consumer, whatever the broker does."""
    await end_fetches(consumer)
    await consumer.stop()


async def end_fetches(consumer: Any) -> None:
    """Ends what a consumer has under way, so that its `stop` need not.

    A fetch that waits for its next try is cancelled by `stop`, which then raises that very cancellation and leaves
    connections and tasks behind (aiokafka 0.14): whoever waited for the end of it believes to be cancelled.
    """
    fetcher = consumer._fetcher
    if fetcher is None:
        return
    under_way = [fetcher._fetch_task, *fetcher._pending_tasks]
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    fetcher._pending_tasks.clear()
