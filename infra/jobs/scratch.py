"""Scratch space of one worker, and an end to what dead ones left behind."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import structlog

from events.identifiers import new_id

log = structlog.get_logger(__name__)

#: Somebody works in it, somebody else sweeps it, it is no folder, or it is of another user.
_NOT_OURS = (BlockingIOError, FileNotFoundError, NotADirectoryError, PermissionError)


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A folder below `root` that is this worker's alone, gone at the end.

    It is locked while its worker lives, so that the next one knows which folders nobody works in any more.
    """
    root.mkdir(parents=True, exist_ok=True)
    sweep(root)
    with ExitStack() as held:
        mine = _own_folder(root, held)
        yield mine
        shutil.rmtree(mine, ignore_errors=True)


def sweep(root: Path) -> int:
    """Removes the folders below `root` in which nobody works any more; how many there were."""
    gone = 0
    for folder in abandoned(root):
        with suppress(*_NOT_OURS), _locked(folder):
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
            log.info("swept", folder=folder.name)
    return gone


def abandoned(root: Path) -> Iterator[Path]:
    """The folders of workers that are dead."""
    for folder in root.iterdir() if root.is_dir() else ():
        with suppress(*_NOT_OURS):
            with _locked(folder):
                pass
            yield folder


def _own_folder(root: Path, held: ExitStack) -> Path:
    """A new folder, made and locked. Between the two somebody who sweeps may take it for a dead worker's."""
    while True:
        mine = root / new_id()
        mine.mkdir()
        with suppress(BlockingIOError, FileNotFoundError):
            held.enter_context(_locked(mine))
            if mine.exists():
                return mine
            held.close()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder itself under a lock that ends with the process.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
