"""What can be asked for: the `data` of every request event, imperative in spirit, past tense in type.

Unknown fields are refused, so agents are upgraded before publishers. `None` means «decide for me».
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .identifiers import Identifier

#: A week: longer than any sensible training, short enough to tell a typing error.
MAX_SECONDS = 7 * 24 * 3600

Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
#: A column name of the dataset, as it stands in the file's header.
Column = Annotated[str, Field(min_length=1, max_length=1000)]


class Request(BaseModel):
    """Common behaviour: frozen, strict about names, numbers must be numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Resources(Request):
    """What one job may use. Defaults come from the worker's settings.

    `memory_gb` is a limit on the job's process in GiB; `workers` > 1 spreads one training over a cluster.
    """

    cpus: Annotated[int, Field(ge=1, le=1024)] | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] | None = None
    memory_gb: Annotated[float, Field(gt=0, le=4096)] | None = None
    workers: Annotated[int, Field(ge=1, le=256)] | None = None


class DatasetUploaded(Request):
    """A file is in place and may be learned from. `format` follows from the extension where it is not given."""

    dataset_id: Identifier
    uri: Annotated[str, Field(min_length=1, max_length=4096)]
    format: Literal["csv", "tsv", "parquet", "feather", "h5ad"] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    name: Name | None = None


class JobRequested(Request):
    """What every job may say. `job_id` defaults to the event's subject."""

    job_id: Identifier | None = None
    created_by: Name = "unknown"
    name: Name | None = None
    timeout_s: Seconds | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    resources: Resources = Resources()


class TrainingRequested(JobRequested):
    """A supervised training on the rows of one dataset.

    `group_column` names what must stay whole (a patient's samples never cross a split).
    """

    dataset_id: Identifier
    target_column: Column
    feature_columns: Annotated[list[Column], Field(min_length=1)] | None = None
    exclude_columns: list[Column] | None = None
    group_column: Column | None = None
    problem_type: Literal["classification", "regression"] | None = None
    eval_metric: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class AutomlRequested(TrainingRequested):
    """AutoGluon. `time_limit` in seconds bounds the fit."""

    time_limit: Seconds = 600
    quality: Literal[
        "medium_quality", "good_quality", "high_quality", "best_quality", "medium", "good", "high", "best"
    ] = "good_quality"
    hyperparameter_tuning: bool = False
    #: A model whose recorded plan is replayed, without a clock, in place of a search.
    rerun_of: Identifier | None = None


#: Sizes of a series or an image.
Shape = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=3)]


class DeepLearningRequested(TrainingRequested):
    """A network. `input_shape` is [channels, length] or [channels, height, width]; None for a plain table."""

    architecture: Literal["cnn_1d", "cnn_2d", "rnn", "lstm", "transformer"]
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = 0.001
    input_shape: Shape | None = None


class TransferLearningRequested(TrainingRequested):
    """Fine-tuning. `base_model` may carry a source, as in `job:<model_id>`; a bare name is torchvision's.

    `fine_tune_layers`: how many of its last blocks are trained, 0 for the head alone. `input_shape`, of true images
    for a vision network: [channels, height, width].
    """

    base_model: Annotated[str, Field(min_length=1, max_length=512)] = "resnet50"
    fine_tune_layers: Annotated[int, Field(ge=0, le=10_000)] | Literal["auto"] = 3
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 50
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    weights: Literal["pretrained", "random"] = "pretrained"
    input_shape: Shape | None = None


class EnsembleRequested(JobRequested):
    """Combines finished models of one dataset, target and split. `weights` in the order of `model_ids`."""

    model_ids: Annotated[list[Identifier], Field(min_length=2, max_length=100)]
    method: Literal["voting", "stacking", "blending"]
    weights: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    voting: Literal["soft", "hard"] = "soft"


class ExplanationRequested(JobRequested):
    """Explains a model on rows of its dataset: `sample_indices` (0-based), or `num_samples` chosen stratified."""

    model_id: Identifier
    method: Literal["shap", "lime"]
    sample_indices: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=100_000)] | None = None
    num_samples: Annotated[int, Field(ge=1, le=100_000)] = 100
    include_values: bool = False


class NoopRequested(JobRequested):
    """Does nothing for a while, for tests and benchmarks. The other fields make it misbehave on purpose."""

    duration_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    steps: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    behaviour: Literal["finish", "fail", "raise", "exit", "hang", "spawn"] = "finish"


class CancellationRequested(Request):
    """Stop this job, whatever it is doing."""

    job_id: Identifier | None = None
    requested_by: Name = "unknown"


class ModelDeletionRequested(Request):
    """Remove a model and its files; with `cascade` also the ensembles made of it."""

    model_id: Identifier | None = None
    cascade: bool = False
    requested_by: Name = "unknown"


class ModelPromotionRequested(Request):
    """Make a model the champion of its dataset and target. A person answers for it."""

    model_id: Identifier | None = None
    approved_by: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
    reason: Annotated[str, Field(max_length=2000)] | None = None
