"""A wall clock that a test may set, for real processes, without touching the machine's own."""

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .parts import missing

_SOURCE = Path(__file__).parent / "set_clock.c"


class WallClock:
    """`environment` makes a process read this clock; `jump` sets it for all of them at once."""

    def __init__(self, shared: mmap.mmap, environment: dict[str, str]) -> None:
        self._shared = shared
        self.environment = environment

    def jump(self, seconds: int) -> None:
        """Puts it so many seconds before (or behind) the machine's."""
        self._shared[:8] = struct.pack("<q", seconds)


@contextmanager
def wall_clock(folder: Path) -> Iterator[WallClock]:
    """A clock that goes right at first. Without a C compiler the test is skipped; in CI it fails."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler", "`make system`")
    library, file = folder / "set_clock.so", folder / "set-clock"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    file.write_bytes(bytes(8))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 8) as shared:
        yield WallClock(shared, {"LD_PRELOAD": str(library), "SET_CLOCK": str(file)})
