"""Scratch space of one worker, and an end to what dead ones left behind."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from events.identifiers import new_id

log = structlog.get_logger(__name__)


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A folder below `root` that is this worker's alone, gone at the end.

    It is locked while its worker lives, so that the next one knows which folders nobody works in any more.
    """
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        _sweep(folder)
    mine = root / new_id()
    mine.mkdir()
    with _locked(mine):
        yield mine
        shutil.rmtree(mine, ignore_errors=True)


def _sweep(folder: Path) -> None:
    try:
        with _locked(folder):
            shutil.rmtree(folder, ignore_errors=True)
            log.info("swept", folder=folder.name)
    except (BlockingIOError, FileNotFoundError, NotADirectoryError):
        return  # somebody works in it, or somebody else sweeps


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
