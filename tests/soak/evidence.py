"""The evidence: all that the verdict is given, as plain values. Nothing here asks the house anything."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .diary import Diary
from .ledger import Run
from .wishes import Wish

STARTED = "ml.job.started"
ENDS = ("ml.job.completed", "ml.job.failed", "ml.job.cancelled")


@dataclass(frozen=True, slots=True)
class Heard:
    """A record of the log. `name`, `id` and `data` are empty where it is no event."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    name: str = ""
    id: str = ""
    subject: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset

    @property
    def end(self) -> str:
        """`completed`, `cancelled`, `failed:<reason>`, `registered`, `rejected:<reason>`."""
        word = self.name.rpartition(".")[2]
        error = self.data.get("error")
        return f"{word}:{error['reason']}" if error else word


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: where its original stood, and why it was put aside."""

    place: tuple[str, int, int]
    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A start as the store knows it: the worker's pid, and whether it was given back on purpose."""

    worker: int
    released: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store holds of a job. `decided_at` is when outcome.json was written (Unix time)."""

    attempts: dict[int, Attempt] = field(default_factory=dict)
    outcome: dict[str, Any] | None = None
    decided_at: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """`rows` and `models` are what the API answers; `left_in_jobs` and `left_over` processes that should be gone."""

    wishes: list[Wish]
    log: list[Heard]
    letters: list[Letter]
    store: dict[str, Stored]
    runs: list[Run]
    diary: Diary
    rows: list[dict[str, Any]]
    session_s: float
    max_attempts: int
    models: list[dict[str, Any]] = field(default_factory=list)
    left_in_jobs: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    #: What `omniscope-ml rebuild --json` said, where this version has it.
    rebuild: dict[str, Any] | None = None
    seconds: float = 0.0

    @cached_property
    def asked(self) -> dict[str, Wish]:
        """Job → the request that owns it, for every job that was published."""
        return {wish.subject: wish for wish in self.wishes if wish.is_job}

    @cached_property
    def ends(self) -> dict[str, list[Heard]]:
        """Job → its terminal events, as often as they were told."""
        return _by_subject(heard for heard in self.log if heard.name in ENDS)

    @cached_property
    def starts(self) -> dict[str, list[Heard]]:
        return _by_subject(heard for heard in self.log if heard.name == STARTED)

    @cached_property
    def runs_of(self) -> dict[str, list[Run]]:
        """Job → its runs, in the order in which they began."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.job, []).append(run)
        return found

    def stored(self, job: str) -> Stored:
        return self.store.get(job, Stored())

    def attempt_of(self, run: Run) -> Attempt | None:
        return self.stored(run.job).attempts.get(run.attempt)


def _by_subject(events: Iterator[Heard]) -> dict[str, list[Heard]]:
    found: dict[str, list[Heard]] = {}
    for heard in events:
        found.setdefault(heard.subject, []).append(heard)
    return found
