"""A dataset's file in a job's own folder, so that the cache may forget its copy while the job reads."""

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from .ports import StoreError
from .retries import patiently

#: Why a second name for a file may be refused: another file system, no such thing there, too many, another owner.
_NO_LINK = {errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK, errno.EPERM, errno.EACCES}


async def staged(fetch: Callable[[], Awaitable[Path]], target: Path, what: str) -> Path:
    """What `fetch` finds, under the name `target`. Waits out StoreError.

    A hard link costs nothing and keeps the bytes for as long as the name is there; where there is none, a copy.
    """

    async def attempt() -> Path:
        found = await fetch()
        await asyncio.to_thread(link, found, target)
        return target

    # FileNotFoundError: the cache forgot the file between being asked and being linked to.
    return await patiently(attempt, what, only=(StoreError, FileNotFoundError))


def link(found: Path, target: Path) -> None:
    """A second name for the file; where there can be none, a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(found, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(found, target)
        target.chmod(0o400)
