"""Finishing what was begun, even when the one who asked is cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

#: How long a cancelled caller waits for what was begun. Without a broker it could take for ever.
PATIENCE_S = 5.0


async def shielded(work: Awaitable[T]) -> T:
    """Awaits `work`; when the caller is cancelled in the middle, lets it come to its end first, if that is near.

    A send that is cancelled half-way may or may not have happened; one that is finished is a fact.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=PATIENCE_S)
        raise
