"""For each table, which columns belong together and which news in them wins."""

from schemas import tables
from schemas.projection.registers import Register, Rule, greatest, least

JOBS = Rule(
    tables.training_jobs,
    ("id",),
    (
        # What was asked for: as the job's own events tell it, else the earliest request.
        Register((least("request_place"),), ("kind", "model_type", "name", "dataset_id", "created_by", "request")),
        Register((least("created_place"),), ("created_at",)),
        # Where it stands: pending < running < ended, the later attempt, and of two equals the earlier word.
        Register(
            (greatest("status_rank"), greatest("attempt"), least("status_place")),
            ("status", "error_reason", "error", "model_id", "explanation_id", "completed_at"),
        ),
        Register((greatest("started_at"),)),
        # What it last said. Its start and its end are words, too.
        Register(
            (greatest("progress_attempt"), greatest("progress_seq"), least("progress_place")),
            ("progress", "message", "eta_s", "metrics", "last_heard_at"),
        ),
    ),
)

JOB_EVENTS = Rule(tables.job_events, ("source", "event_id"))

MODELS = Rule(
    tables.ml_models,
    ("id",),
    (
        Register(
            (least("completed_place"),),
            (
                "job_id", "name", "type", "problem_type", "dataset_id", "target_column", "architecture",
                "hyperparameters", "training_config", "metrics", "intervals", "primary_metric", "validation_score",
                "baseline", "split_id", "n_train", "n_test", "details", "artifacts_path", "created_by", "created_at",
            ),
        ),
        # A rebuilt tracking server registers again: the latest registration is the one that can be opened.
        Register((greatest("registered_place"),), ("mlflow_run_id", "registered_name", "version")),
        Register((greatest("promoted_at"),), ("promoted_by",)),
        Register((least("deleted_at"),)),
        Register((greatest("updated_at"),)),
    ),
)  # fmt: skip

LINEAGE = Rule(tables.model_lineage, ("parent", "child", "relation"))

EXPLANATIONS = Rule(
    tables.explanations,
    ("id",),
    (
        Register(
            (least("place"),),
            (
                "job_id", "model_id", "method", "feature_importance", "visualizations", "details", "artifacts_path",
                "created_at",
            ),
        ),
    ),
)  # fmt: skip

DATASETS = Rule(
    tables.datasets,
    ("id",),
    (
        # Uploaded < rejected < registered: what is registered stays, and of equals the latest word counts.
        Register(
            (greatest("status_rank"), greatest("status_place")),
            (
                "status", "uri", "format", "sha256", "size_bytes", "n_rows", "n_columns", "n_missing", "columns",
                "error_reason", "error", "registered_at",
            ),
        ),
        Register((least("name_place"),), ("name",)),
        Register((least("created_at"),)),
    ),
)  # fmt: skip

DEAD_LETTERS = Rule(
    tables.dead_letters,
    ("epoch", "topic", "partition", "offset"),
    (
        # Put aside more than once: as it was told first. Two marks of one letter tell the same.
        Register((least("dead_at"), least("reason"), least("message")), ("timestamp", "key", "value", "headers")),
        Register((greatest("redriven"),)),
    ),
)

#: Every table that is made of the log, in the order in which a rebuild tells of them.
ALL = (JOBS, MODELS, LINEAGE, EXPLANATIONS, DATASETS, JOB_EVENTS, DEAD_LETTERS)
