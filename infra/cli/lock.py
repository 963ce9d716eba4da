"""One supervisor for one data directory: a lock that ends with the process that holds it, however it ends."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.cli.errors import CliError


class AlreadyRuns(CliError):
    """Another process holds the lock. `about`: what it wrote into it; empty where it is just starting or ending."""

    def __init__(self, data_dir: Path) -> None:
        self.about = _read(data_dir)
        super().__init__(_taken(data_dir, self.about))


def lock_file(data_dir: Path) -> Path:
    return data_dir / "up.lock"


@contextmanager
def only_one(data_dir: Path, about: Mapping[str, object]) -> Iterator[None]:
    """Holds the lock. `about` is written into it, so that the second one can say who is the first.

    Raises:
        AlreadyRuns: another process holds it.
    """
    # The descriptor is closed in children (Python's default), so that none of them keeps the lock.
    descriptor = os.open(lock_file(data_dir), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRuns(data_dir) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), **about}).encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _taken(data_dir: Path, about: Mapping[str, Any]) -> str:
    who = f" (process {about['pid']}, API {about.get('api', 'unknown')})" if "pid" in about else ""
    return f"omniscope-ml already runs on {data_dir}{who}: stop it first, or set DATA_DIR to another directory"


def _read(data_dir: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(lock_file(data_dir).read_text())
    except (OSError, ValueError):
        return {}  # it is just being written, or stopped just now
    return about
