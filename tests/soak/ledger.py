"""The ledger: what ran when, written by the running handlers themselves.

Every run adds lines to one file, each in one write: when it begins, every 50 ms while it lives, when it comes to
its end. It knows nothing of events, claims or outcomes, so it can contradict them.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Line:
    """`what` is start, tick or end; `boot` is CLOCK_BOOTTIME, `wall` Unix time, in seconds."""

    what: str
    job: str
    attempt: int
    pid: int
    boot: float
    wall: float

    def __str__(self) -> str:
        return f"{self.what} {self.job} {self.attempt} {self.pid} {self.boot:.6f} {self.wall:.6f}\n"


@dataclass(frozen=True, slots=True)
class Run:
    """One process that worked on a job: from its first line to its last. `came_to_end`: the last one says so."""

    job: str
    attempt: int
    pid: int
    begun: float
    last_seen: float
    begun_wall: float
    came_to_end: bool

    @property
    def last_seen_wall(self) -> float:
        return self.begun_wall + self.last_seen - self.begun


@contextmanager
def entered(ledger: Path, job: str, attempt: int) -> Iterator[None]:
    """Keeps the ledger while the context is open, from a thread of its own."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    over = threading.Event()

    def write(what: str) -> None:
        line = Line(what, job, attempt, os.getpid(), boottime(), time.time())
        os.write(descriptor, str(line).encode())

    def tick() -> None:
        while not over.wait(TICK_S):
            write("tick")

    write("start")
    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    try:
        yield
    finally:
        over.set()
        ticking.join()
        write("end")
        os.close(descriptor)


def read(text: str) -> list[Run]:
    """The runs, in the order in which they began. A last line that was cut off is passed over."""
    lines = (line.split() for line in text.splitlines())
    return runs(
        Line(what, job, int(attempt), int(pid), float(boot), float(wall))
        for what, job, attempt, pid, boot, wall in (words for words in lines if len(words) == 6)
    )


def runs(lines: Iterable[Line]) -> list[Run]:
    by_run: dict[tuple[str, int, int], list[Line]] = {}
    for line in lines:
        by_run.setdefault((line.job, line.attempt, line.pid), []).append(line)
    found = [
        Run(
            job=job,
            attempt=attempt,
            pid=pid,
            begun=min(line.boot for line in told),
            last_seen=max(line.boot for line in told),
            begun_wall=min(line.wall for line in told),
            came_to_end=any(line.what == "end" for line in told),
        )
        for (job, attempt, pid), told in by_run.items()
    ]
    return sorted(found, key=lambda run: run.begun)


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
