"""Whether a job failed because its disk ran full. Libraries say so in many ways, and some do not say it at all."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
#: SQLite, and libraries in C++ that make a sentence of the number.
_SAID = ("no space left on device", "disk is full", "disk quota exceeded")
#: A disk with less room than this is full: what did not fit is removed only later.
_NEXT_TO_NOTHING = 1024 * 1024


def disk_ran_full(error: BaseException, out_dir: Path | None = None) -> bool:
    """Whether `error` tells of a full disk, or whatever it tells, the disk of `out_dir` is full now.

    torch's zip writer says «file write failed» and AutoGluon goes on without the model that it could not write:
    where nothing can be written, no failure is the job's own.
    """
    return any(map(_tells, _family(error))) or (out_dir is not None and _is_full(out_dir))


def distrust_a_full_disk(out_dir: Path) -> None:
    """Looks at the disk that a result was just written to: some libraries write half a file without a word.

    Raises:
        OSError: it is full.
    """
    if _is_full(out_dir):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out_dir))


def _tells(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    text = str(error).lower()
    return any(words in text for words in _SAID)


def _family(error: BaseException) -> Iterator[BaseException]:
    """The error, what led to it and what it was wrapped around; each once, whatever the chain looks like."""
    waiting, known = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        yield one
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _is_full(folder: Path) -> bool:
    try:
        about = os.statvfs(folder)
    except OSError:  # the job has removed its own folder
        return False
    # A file system without a count of its own (some in user space) has zero blocks in all.
    return about.f_blocks > 0 and about.f_bavail * about.f_frsize < _NEXT_TO_NOTHING
