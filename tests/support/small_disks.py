"""A disk of a few megabytes for a test, and handlers that fill one."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from handlers.contract import Inputs, JobRefused, Outputs, Report, Result

MB = 1_000_000


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory at `place`; skips the test where this user may not mount one."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes * MB}", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily: a process that is just ending may still stand in it.
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, megabytes: float) -> Path:
    """A file that takes this much of the disk."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * int(megabytes * MB))
    return ballast


def fill_up(disk: Path) -> Path:
    """A file that takes all there is."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast


def write(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that writes four megabytes."""
    (out.directory / "large").write_bytes(b"x" * 4 * MB)
    return Result(summary="written")


def wrap(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that says of a full disk what libraries say of it: something else."""
    try:
        write(request, inputs, out, report)
    except OSError:
        raise RuntimeError("nothing was trained") from None
    return Result(summary="written")


def lose(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that does not notice that its file is half there."""
    with suppress(OSError):
        write(request, inputs, out, report)
    return Result(summary="written")


def refuse(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that fails of itself, whatever the disk is like."""
    raise JobRefused("target_missing", "the table has no column 'outcome'")


def claim(request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """A handler that is told of a full disk by its library."""
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise RuntimeError("could not save") from error
