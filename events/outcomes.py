"""What happened: the `data` of every event this system emits.

Readers ignore fields they do not know, so fields may be added within a version.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .errors import ReasonCode

#: [low, high] of a 95 % interval.
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class JobStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Fact(BaseModel):
    """Common behaviour of every outcome: frozen; unknown fields of a newer writer are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Failure(Fact):
    """Why it did not work. `reason` is one of ReasonCode (a newer writer may know more), `message` a sentence."""

    reason: str
    message: str

    @classmethod
    def of(cls, reason: ReasonCode, message: str) -> "Failure":
        return cls(reason=reason.value, message=message)


class JobFact(Fact):
    """What start and end of a job carry: the request as sent, so that the log alone tells the whole story."""

    job_id: str
    kind: str
    attempt: int = Field(ge=0)
    request: dict[str, Any]


class JobStarted(JobFact):
    """Attempt number `attempt` has begun on `worker`."""

    worker: str
    started_at: datetime


class JobCompleted(JobFact):
    """The job came to its end; `model_id` names what it made, if it made a model."""

    started_at: datetime | None
    completed_at: datetime
    model_id: str | None = None
    explanation_id: str | None = None
    summary: str = "Completed"
    #: Where the time went, by phase: own, wait, claim, stage, fork, run, commit.
    seconds: dict[str, float] = {}


class Reached(Fact):
    """How far a job had come when it ended early: its last word. `percent` 0–100, `metrics` the latest by name."""

    percent: float = Field(ge=0, le=100)
    message: str
    metrics: dict[str, float] = {}


class JobFailed(JobFact):
    """The job ended without a result. It is not tried again."""

    started_at: datetime | None
    completed_at: datetime
    error: Failure
    reached: Reached | None = None


class JobCancelled(JobFact):
    """The job was stopped because somebody asked."""

    started_at: datetime | None
    completed_at: datetime
    requested_by: str = "unknown"
    reached: Reached | None = None


class CancellationRefused(Fact):
    """The job had already ended as `status`."""

    job_id: str
    status: JobStatus
    requested_by: str = "unknown"


class JobProgressed(Fact):
    """A word from a job. `seq` counts within the attempt; attempt 0 is a job that waits for its first start.

    `percent` 0–100, `eta_s` seconds to go as far as known, `metrics` the latest scores by name.
    """

    job_id: str
    kind: str
    attempt: int = Field(ge=0)
    seq: int = Field(ge=0)
    percent: float = Field(ge=0, le=100)
    message: str
    eta_s: float | None = None
    metrics: dict[str, float] = {}


class Baseline(Fact):
    """A plain model on the same rows: what the trained one has to beat."""

    name: str
    metrics: dict[str, float]
    intervals: dict[str, Interval] = {}
    #: Whether the trained model's primary metric is better than the baseline's on the test rows.
    beaten: bool


class ModelFacts(Fact):
    """What a training learned about its model. Metrics are on `n_test` rows that no fit has seen."""

    model_type: Literal["automl", "deep_learning", "transfer_learning", "ensemble"]
    problem_type: Literal["binary", "multiclass", "regression"]
    primary_metric: str
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    #: The primary metric on validation rows within training: what models are chosen by.
    validation_score: float | None = None
    baseline: Baseline
    architecture: str
    hyperparameters: dict[str, Any]
    split_id: str
    n_train: int
    n_test: int
    n_combination: int = 0
    classes: list[str] | None = None
    warnings: list[str] = []
    #: Members of the trained model, best first: name, validation score, seconds.
    leaderboard: list[dict[str, Any]] = []
    #: What the picture shows (roc, calibration, …) → its path in the artifact.
    pictures: dict[str, str] = {}
    #: What a fit came down to (models, parameters, iterations, weights): enough to replay it without a clock.
    plan: dict[str, Any] = {}


class ModelCompleted(ModelFacts):
    """A model is there to be used: what other services subscribe to.

    `artifacts_path` is relative to ARTIFACTS_URI and holds an MLflow model directory; `files` maps each
    file in it to its SHA-256.
    """

    model_id: str
    model_name: str
    job_id: str
    dataset_id: str
    dataset_sha256: str
    target_column: str
    artifacts_path: str
    files: dict[str, str]
    training_config: dict[str, Any]
    environment: dict[str, Any] = {}
    created_by: str = "unknown"
    created_at: datetime


class ModelRegistered(Fact):
    """The model has a run and a version in MLflow."""

    model_id: str
    mlflow_run_id: str
    registered_name: str
    version: str
    alias: str | None = None


class ModelPromoted(Fact):
    """The model is the champion of its name from now on."""

    model_id: str
    registered_name: str
    version: str
    approved_by: str
    reason: str | None = None


class ModelDeleted(Fact):
    """The model's files are gone; `with_models` went along."""

    model_id: str
    requested_by: str = "unknown"
    with_models: list[str] = []


class ModelDeletionRefused(Fact):
    """The model stays, because these models are made of it."""

    model_id: str
    requested_by: str = "unknown"
    used_by: list[str]


class ColumnProfile(Fact):
    """One column of a dataset: its type and how much of it is there. Never a value of a row."""

    name: str
    type: Literal["integer", "number", "boolean", "category", "text", "date", "empty"]
    missing: int
    distinct: int


class DatasetRegistered(Fact):
    """The file is readable, its bytes are known by `sha256`, and from now on the dataset does not change.

    `columns` holds at most the first 1,000; `n_columns` counts all.
    """

    dataset_id: str
    name: str
    uri: str
    format: str
    sha256: str
    size_bytes: int
    n_rows: int
    n_columns: int
    n_missing: int
    columns: list[ColumnProfile]
    registered_at: datetime


class DatasetRejected(Fact):
    """The upload cannot become a dataset."""

    dataset_id: str
    uri: str
    error: Failure
