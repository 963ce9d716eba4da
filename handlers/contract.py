"""What a handler is: a function from a request and files to a result and files.

    def run(request, inputs, out, report) -> Result

It runs alone in a fresh process, knows neither Kafka nor SQL nor a tracking server, opens no socket, and
reads only what it was given. It may write below `out.directory` (kept if this attempt wins) and
`out.keep` (there again on the next attempt).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from events.errors import OmniScopeError
from events.explanations import ExplanationFacts
from events.outcomes import ColumnProfile, ModelFacts


class JobRefused(OmniScopeError):
    """The request cannot be carried out on these data. The message names columns, never a cell's value."""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A registered dataset's bytes on this machine, verified against `sha256`."""

    dataset_id: str
    path: Path
    format: str
    sha256: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A finished model's directory on this machine (verified), and what was recorded of it."""

    model_id: str
    path: Path
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BaseWeights:
    """Pretrained weights in one file on this machine, verified against `sha256`.

    `name` with its source («torchvision:resnet50»); `origin`: file, bundled, cached or downloaded.
    """

    name: str
    path: Path
    sha256: str
    origin: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the job may use: CPU cores, GPUs, GiB of memory (None: unlimited), seconds (None: unlimited)."""

    cpus: int = 1
    gpus: int = 0
    memory_gb: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a handler reads."""

    dataset: DatasetFile | None = None
    #: The event that told of the model which is to be made again, where one is.
    recorded: dict[str, Any] | None = None
    models: Mapping[str, ModelFiles] = field(default_factory=dict)
    weights: BaseWeights | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a handler writes. `model` and `explanation` become artifacts, if the handler makes them."""

    directory: Path
    keep: Path

    @property
    def model(self) -> Path:
        return self.directory / "model"

    @property
    def explanation(self) -> Path:
        return self.directory / "explanation"


class Report(Protocol):
    """The way back to whoever waits. Cheap: call it as often as there is something to say."""

    def __call__(
        self,
        percent: float,
        message: str,
        *,
        eta_s: float | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Tells progress: `percent` 0–100, `message` for a person, `metrics` the latest scores."""

    def should_stop(self) -> bool:
        """Whether a soft stop was asked for: finish with what there is, as soon as that makes sense."""

    def checkpoint(self) -> None:
        """`out.keep` holds a consistent checkpoint now: it will be there again if this attempt dies."""


@dataclass(frozen=True, slots=True)
class DatasetProfile:
    """What a look into a file tells. `columns` holds at most the first 1,000."""

    format: str
    n_rows: int
    n_columns: int
    n_missing: int
    columns: list[ColumnProfile]


@dataclass(frozen=True, slots=True)
class Result:
    """What a handler hands back. Exactly what its kind makes is set; files lie in the outputs."""

    summary: str
    model: ModelFacts | None = None
    explanation: ExplanationFacts | None = None
    profile: DatasetProfile | None = None
    #: Seconds by phase, package versions, hardware: goes into the record of the run.
    record: dict[str, Any] = field(default_factory=dict)


class Handler(Protocol):
    """A handler's entry point. `request` is the model of `events.requests` for its kind."""

    def __call__(self, request: Any, inputs: Inputs, out: Outputs, report: Report) -> Result: ...
