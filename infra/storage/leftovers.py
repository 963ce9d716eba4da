"""What is left over on this machine's disk, and an end to it: copies of datasets that nobody asked for lately, and
what was being written by processes that are dead.

Any number of processes may do this at once; what one has removed the others do not find.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: How a copy is named until it is complete.
INCOMING = ".incoming-"
#: Seconds after its last use during which a copy stays: long enough to make a link to it.
RECENT_S = 60.0
#: Seconds after which a file that was being written into the store has nobody who writes it.
ABANDONED_S = 24 * 3600.0

_STAGING_NAME = re.compile(r".#\d+\Z")


@dataclass(frozen=True, slots=True)
class Removed:
    """How many files went, and their bytes."""

    files: int = 0
    size: int = 0

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(self.files + other.files, self.size + other.size)


@dataclass(frozen=True, slots=True)
class Copy:
    """A dataset's file in the cache. A `linked` one is in a job's folder, too, and would free nothing."""

    path: Path
    size: int
    used_at: float
    linked: bool


def copies(cache: Path) -> list[Copy]:
    """What is in the cache, the one that was unused for longest first."""
    found = []
    for path in _files(cache):
        with suppress(FileNotFoundError):
            if not path.name.startswith(INCOMING):
                about = path.stat()
                found.append(Copy(path, about.st_size, about.st_mtime, about.st_nlink > 1))
    return sorted(found, key=lambda copy: copy.used_at)


def shrink(cache: Path, max_gb: float) -> Removed:
    """Removes copies until the rest takes at most `max_gb`: those unused for longest first, none that is in use.

    Zero: any amount may stay.
    """
    removed, known = Removed(), copies(cache) if max_gb else []
    surplus = sum(copy.size for copy in known) - max_gb * 1e9
    for copy in known:
        if surplus <= 0 or copy.used_at > time.time() - RECENT_S:
            break
        if not copy.linked:
            copy.path.unlink(missing_ok=True)
            surplus -= copy.size
            removed += Removed(1, copy.size)
    return removed


def abandoned_copies(cache: Path) -> Iterator[Path]:
    """Copies whose writers are dead. While the caller holds one of them in hand nobody begins to write it."""
    for path in _files(cache):
        if path.name.startswith(INCOMING):
            with suppress(BlockingIOError, FileNotFoundError, PermissionError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.stat().st_mtime < time.time() - RECENT_S:  # it is locked a moment after it was made
                    yield path


def sweep_copies(cache: Path) -> Removed:
    """Removes the copies whose writers are dead."""
    return _remove(abandoned_copies(cache))


def abandoned_uploads(store: Path, stopped: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Files in a store's directory that were being written, a day ago or more.

    They have names of obstore's own, which are no keys. The look at a large directory ends early once `stopped`.
    """
    oldest = time.time() - ABANDONED_S
    for folder, _, names in os.walk(store):
        if stopped():
            return
        for name in filter(_STAGING_NAME.search, names):
            path = Path(folder) / name
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    yield path


def sweep_uploads(store: Path, stopped: Callable[[], bool] = lambda: False) -> Removed:
    """Removes the files that somebody was writing into a store's directory a day ago or more."""
    return _remove(abandoned_uploads(store, stopped))


def _remove(paths: Iterator[Path]) -> Removed:
    removed = Removed()
    for path in paths:
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            removed += Removed(1, size)
    return removed


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False))
