"""What the read API answers. These models are its contract: fields are added, never renamed."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from events.explanations import ExplainedSample
from events.outcomes import Baseline, Failure, Interval, JobStatus


class View(BaseModel):
    """Common behaviour: frozen, and a sentence under a field becomes its description in the document."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class JobView(View):
    """Where a job stands. Times are UTC; what is not known yet is null."""

    job_id: str
    kind: str
    """automl, deep_learning, transfer_learning, ensemble, explanation or noop."""
    name: str | None
    status: JobStatus
    progress: float
    """Percent, 0 to 100."""
    message: str
    """The last word about the job, for a person: «Training epoch 45/100»."""
    eta_s: float | None
    """Seconds still to go, as far as that can be told."""
    metrics: dict[str, float] | None
    """The latest scores the job has told while running."""
    error: Failure | None
    """Why it failed: a reason code and a sentence."""
    attempt: int
    """Which start this is; more than 1 after a lost worker, 0 before the first."""
    stalled: bool
    """Running, but silent for more than 60 seconds."""
    last_heard_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    created_by: str
    """Whom the request named; a claim, not checked."""
    dataset_id: str | None
    model_id: str | None
    """The model it made."""
    model_type: str | None
    explanation_id: str | None


class ModelSummary(View):
    """A model in a list: enough to choose from."""

    model_id: str
    model_name: str
    model_type: str
    """automl, deep_learning, transfer_learning or ensemble."""
    architecture: str
    """What it is: cnn_1d, the base model and its depth, or the best of a search."""
    problem_type: str
    """binary, multiclass or regression."""
    job_id: str
    dataset_id: str
    target_column: str
    split_id: str
    """Models are comparable only where this is the same."""
    primary_metric: str
    metrics: dict[str, float]
    """Scores on `n_test` rows that no fit has seen."""
    intervals: dict[str, Interval]
    """[low, high] of each metric's bootstrap 95 % interval."""
    n_train: int
    n_test: int
    registered_name: str | None
    version: str | None
    created_by: str
    created_at: datetime
    promoted_at: datetime | None


class ModelResults(ModelSummary):
    """Everything known about one model."""

    n_combination: int
    """Rows kept aside for combining models: this one neither learned from them nor is scored on them."""
    baseline: Baseline
    """A plain model on the same rows, and whether this one beats it."""
    validation_score: float | None
    """The primary metric on validation rows: what models are chosen by."""
    classes: list[str] | None
    hyperparameters: dict[str, Any]
    training_config: dict[str, Any]
    """The request with its defaults filled in."""
    leaderboard: list[dict[str, Any]]
    """Members of the trained model, best first."""
    warnings: list[str]
    """What to keep in mind when reading the scores."""
    environment: dict[str, Any]
    """Package versions and hardware of the run."""
    artifacts_path: str
    """Below ARTIFACTS_URI: an MLflow model directory."""
    files: dict[str, str]
    """Each file of the artifact and its SHA-256."""
    pictures: dict[str, str]
    """What a picture shows (roc, calibration, …) and its path in the artifact."""
    plan: dict[str, Any]
    """What the fit came down to: enough to replay it without a clock."""
    dataset_sha256: str | None
    mlflow_run_id: str | None
    promoted_by: str | None
    updated_at: datetime


class ExplanationSummary(View):
    """An explanation of a model: which features moved its answers, largest first."""

    explanation_id: str
    model_id: str
    job_id: str
    method: str
    """shap or lime."""
    feature_importance: dict[str, float]
    """Feature and how far it moved the answers on average; the first 200."""
    created_at: datetime


class ExplanationResults(ExplanationSummary):
    """Everything known about one explanation, large values apart: they lie in the artifact."""

    dataset_id: str
    explainer: str
    """The algorithm, in words."""
    exactness: str
    """What is known of its error, in words."""
    space: str
    """What the values add up to: probability or value."""
    importance_intervals: dict[str, Interval]
    """[low, high] of each feature's 95 % interval over the samples."""
    class_importance: dict[str, dict[str, float]]
    """For each class, its features."""
    n_samples: int
    n_background: int
    samples: list[ExplainedSample]
    """At most 100, with their largest contributions."""
    additivity_error: float | None
    """The largest distance between a prediction and its base value plus contributions."""
    local_fit: float | None
    """Of LIME: the middle R² of the local models."""
    stability: float | None
    """Of LIME: how much of a ranking stays when it is drawn anew, 0 to 1."""
    warnings: list[str]
    visualizations: dict[str, str]
    """What a picture shows (summary_plot, …) and its path in the artifact."""
    artifacts_path: str
    """Below ARTIFACTS_URI."""
    files: dict[str, str]
    """Each file of the artifact and its SHA-256."""
    environment: dict[str, Any]
    created_by: str


class DatasetView(View):
    """A dataset: announced (uploaded), looked into (registered), or refused (rejected) with the reason."""

    dataset_id: str
    name: str
    status: str
    uri: str
    format: str | None
    sha256: str | None
    size_bytes: int | None
    n_rows: int | None
    n_columns: int | None
    n_missing: int | None
    """Cells without a value."""
    error: Failure | None
    created_at: datetime
    registered_at: datetime | None


class Page(View):
    """A part of a list, newest first."""

    next: str | None
    """Pass it as `cursor` to read on; null at the end."""


class JobPage(Page):
    items: list[JobView]


class ModelPage(Page):
    items: list[ModelSummary]


class ExplanationPage(Page):
    items: list[ExplanationSummary]


class DatasetPage(Page):
    items: list[DatasetView]


class Health(View):
    """The process is up, or ready to answer."""

    status: str


class Directory(View):
    """Where things are."""

    name: str
    version: str
    documentation: str
    links: dict[str, str]
    requests: str
    """How to ask for work: not here, but as an event."""


class Problem(View):
    """Why a request could not be answered (RFC 9457). `detail` says what to do about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    """The path that was asked for."""
    reason: str
    """A code for programs."""
    request_id: str
    """Stands in the log, too."""
    parameter: str | None = None
    """The query parameter that is wrong."""
    topics: list[str] | None = None
    """Where to publish what this API does not take."""
