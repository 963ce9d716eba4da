"""The tables: a read model of the log. Every row can be dropped and projected again."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC timestamp on every database (SQLite keeps none of the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: A place in the log as text that sorts by age (schemas.projection.place). Byte order on every database.
Place = Text().with_variant(Text(collation="C"), "postgresql")
#: SQLite makes only INTEGER PRIMARY KEY count by itself.
Serial = BigInteger().with_variant(Integer(), "sqlite")
Id = String(128)

training_jobs = Table(
    "training_jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("model_type", String(32)),
    Column("name", Text),
    Column("status", String(16), nullable=False),
    Column("progress", Float, nullable=False, default=0.0),
    Column("message", Text, nullable=False, default=""),
    Column("eta_s", Float),
    Column("metrics", Json),
    Column("error_reason", String(64)),
    Column("error", Text),
    Column("attempt", Integer, nullable=False, default=0),
    Column("model_id", Id),
    Column("explanation_id", Id),
    Column("dataset_id", Id),
    Column("created_by", Text, nullable=False, default="unknown"),
    Column("request", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("last_heard_at", UtcDateTime),
    # What projection needs: how far this row has come, so that older news changes nothing.
    Column("request_place", Place, nullable=False),
    Column("created_place", Place, nullable=False),
    Column("status_rank", Integer, nullable=False),
    Column("status_place", Place, nullable=False),
    Column("progress_attempt", Integer, nullable=False),
    Column("progress_seq", Integer, nullable=False),
    Column("progress_place", Place, nullable=False),
    Index(None, "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "dataset_id", "created_at"),
)

ml_models = Table(
    "ml_models",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", String(32), nullable=False),
    Column("problem_type", String(16), nullable=False),
    Column("dataset_id", Id, nullable=False),
    Column("target_column", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("hyperparameters", Json, nullable=False),
    Column("training_config", Json, nullable=False),
    Column("metrics", Json, nullable=False),
    Column("intervals", Json, nullable=False),
    Column("primary_metric", String(64), nullable=False),
    Column("validation_score", Float),
    Column("baseline", Json, nullable=False),
    Column("split_id", String(64), nullable=False),
    Column("n_train", Integer, nullable=False),
    Column("n_test", Integer, nullable=False),
    Column("details", Json, nullable=False),  # the rest of the event: leaderboard, warnings, environment, files
    Column("artifacts_path", Text, nullable=False),
    Column("mlflow_run_id", String(64)),
    Column("registered_name", Text),
    Column("version", String(32)),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("promoted_at", UtcDateTime),
    Column("promoted_by", Text),
    Column("deleted_at", UtcDateTime),
    # What projection needs. A row without `completed_place` has news of a model whose completion is still to be
    # read: it shows nothing yet, and readers leave it out.
    Column("completed_place", Place),
    Column("registered_place", Place),
    Index(None, "created_at", "id"),
    Index(None, "dataset_id", "created_at"),
)

model_lineage = Table(
    "model_lineage",
    metadata,
    Column("parent", Id, primary_key=True),  # a dataset's or a model's id
    Column("child", Id, primary_key=True),
    Column("relation", String(32), primary_key=True),  # trained_on, member_of, explains, fine_tuned_from
)

explanations = Table(
    "explanations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, nullable=False),
    Column("model_id", Id, nullable=False),
    Column("method", String(32), nullable=False),
    Column("feature_importance", Json, nullable=False),
    Column("visualizations", Json, nullable=False),
    Column("details", Json, nullable=False),
    Column("artifacts_path", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("place", Place, nullable=False),
    Index(None, "model_id", "created_at"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(16), nullable=False),  # uploaded, registered, rejected
    Column("uri", Text, nullable=False),
    Column("format", String(16)),
    Column("sha256", String(64)),
    Column("size_bytes", BigInteger),
    Column("n_rows", BigInteger),
    Column("n_columns", Integer),
    Column("n_missing", BigInteger),
    Column("columns", Json),
    Column("error_reason", String(64)),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("registered_at", UtcDateTime),
    Column("status_rank", Integer, nullable=False),
    Column("status_place", Place, nullable=False),
    Column("name_place", Place, nullable=False),
    Index(None, "created_at", "id"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("job_id", Id, nullable=False),
    Column("type", String(128), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("seq", Integer, nullable=False, default=0),
    Column("time", UtcDateTime, nullable=False),
    Column("data", Json, nullable=False),
    Index(None, "source", "event_id", unique=True),
    Index(None, "job_id", "id"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    # Where the original stood: a record put aside twice is one row.
    Column("epoch", String(64), primary_key=True),
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("timestamp", UtcDateTime),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Json, nullable=False),  # [[name, base64 or null], …]
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("dead_at", UtcDateTime, nullable=False),
    Column("redriven", Boolean, nullable=False, default=False),
    Index(None, "dead_at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("epoch", String(64), primary_key=True),
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(128), nullable=False),
    Column("subject", Id, nullable=False),
    Column("hash", String(64), nullable=False),  # SHA-256 over this row and the hash before it
)

projected_offsets = Table(
    "projected_offsets",
    metadata,
    Column("epoch", String(64), primary_key=True),
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)
