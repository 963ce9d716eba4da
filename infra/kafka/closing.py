"""Ending an aiokafka consumer while the broker is away."""

import asyncio
from typing import Any


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
