"""Finishing what was begun, even when the one who asked is cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def shielded(work: Awaitable[T]) -> T:
    """Awaits `work` to its end even when the caller is cancelled in the middle.

    A send that is cancelled half-way may or may not have happened; one that is finished is a fact.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
