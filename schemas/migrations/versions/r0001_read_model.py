"""The read model as first released."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Spelt out, not taken from schemas.tables: this is what the tables were, whatever they become.
ID = sa.String(128)
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
PLACE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _training_jobs()
    _ml_models()
    _model_lineage()
    _explanations()
    _datasets()
    _job_events()
    _dead_letters()
    _audit_log()
    _projected_offsets()


def downgrade() -> None:
    for table in (
        "projected_offsets", "audit_log", "dead_letters", "job_events", "datasets", "explanations", "model_lineage",
        "ml_models", "training_jobs",
    ):  # fmt: skip
        op.drop_table(table)


def _needed(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _table(name: str, *columns: sa.Column[Any], key: tuple[str, ...] = ("id",)) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _index(table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), unique=unique)


def _training_jobs() -> None:
    _table(
        "training_jobs",
        _needed("id", ID),
        _needed("kind", sa.String(32)),
        sa.Column("model_type", sa.String(32)),
        sa.Column("name", sa.Text()),
        _needed("status", sa.String(16)),
        _needed("progress", sa.Float()),
        _needed("message", sa.Text()),
        sa.Column("eta_s", sa.Float()),
        sa.Column("metrics", JSON),
        sa.Column("error_reason", sa.String(64)),
        sa.Column("error", sa.Text()),
        _needed("attempt", sa.Integer()),
        sa.Column("model_id", ID),
        sa.Column("explanation_id", ID),
        sa.Column("dataset_id", ID),
        _needed("created_by", sa.Text()),
        _needed("request", JSON),
        _needed("created_at", TIME),
        sa.Column("started_at", TIME),
        sa.Column("completed_at", TIME),
        sa.Column("last_heard_at", TIME),
        _needed("request_place", PLACE),
        _needed("created_place", PLACE),
        _needed("status_rank", sa.Integer()),
        _needed("status_place", PLACE),
        _needed("progress_attempt", sa.Integer()),
        _needed("progress_seq", sa.Integer()),
        _needed("progress_place", PLACE),
    )
    _index("training_jobs", "created_at", "id")
    _index("training_jobs", "status", "created_at", "id")
    _index("training_jobs", "dataset_id", "created_at")


def _ml_models() -> None:
    _table(
        "ml_models",
        _needed("id", ID),
        _needed("job_id", ID),
        _needed("name", sa.Text()),
        _needed("type", sa.String(32)),
        _needed("problem_type", sa.String(16)),
        _needed("dataset_id", ID),
        _needed("target_column", sa.Text()),
        _needed("architecture", sa.Text()),
        _needed("hyperparameters", JSON),
        _needed("training_config", JSON),
        _needed("metrics", JSON),
        _needed("intervals", JSON),
        _needed("primary_metric", sa.String(64)),
        sa.Column("validation_score", sa.Float()),
        _needed("baseline", JSON),
        _needed("split_id", sa.String(64)),
        _needed("n_train", sa.Integer()),
        _needed("n_test", sa.Integer()),
        _needed("details", JSON),
        _needed("artifacts_path", sa.Text()),
        sa.Column("mlflow_run_id", sa.String(64)),
        sa.Column("registered_name", sa.Text()),
        sa.Column("version", sa.String(32)),
        _needed("created_by", sa.Text()),
        _needed("created_at", TIME),
        _needed("updated_at", TIME),
        sa.Column("promoted_at", TIME),
        sa.Column("promoted_by", sa.Text()),
        sa.Column("deleted_at", TIME),
        sa.Column("completed_place", PLACE),
        sa.Column("registered_place", PLACE),
    )
    _index("ml_models", "created_at", "id")
    _index("ml_models", "dataset_id", "created_at")


def _model_lineage() -> None:
    key = ("parent", "child", "relation")
    _table("model_lineage", _needed("parent", ID), _needed("child", ID), _needed("relation", sa.String(32)), key=key)


def _explanations() -> None:
    _table(
        "explanations",
        _needed("id", ID),
        _needed("job_id", ID),
        _needed("model_id", ID),
        _needed("method", sa.String(32)),
        _needed("feature_importance", JSON),
        _needed("visualizations", JSON),
        _needed("details", JSON),
        _needed("artifacts_path", sa.Text()),
        _needed("created_at", TIME),
        _needed("place", PLACE),
    )
    _index("explanations", "model_id", "created_at")


def _datasets() -> None:
    _table(
        "datasets",
        _needed("id", ID),
        _needed("name", sa.Text()),
        _needed("status", sa.String(16)),
        _needed("uri", sa.Text()),
        sa.Column("format", sa.String(16)),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("n_rows", sa.BigInteger()),
        sa.Column("n_columns", sa.Integer()),
        sa.Column("n_missing", sa.BigInteger()),
        sa.Column("columns", JSON),
        sa.Column("error_reason", sa.String(64)),
        sa.Column("error", sa.Text()),
        _needed("created_at", TIME),
        sa.Column("registered_at", TIME),
        _needed("status_rank", sa.Integer()),
        _needed("status_place", PLACE),
        _needed("name_place", PLACE),
    )
    _index("datasets", "created_at", "id")


def _job_events() -> None:
    _table(
        "job_events",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        _needed("source", sa.Text()),
        _needed("event_id", sa.Text()),
        _needed("job_id", ID),
        _needed("type", sa.String(128)),
        _needed("attempt", sa.Integer()),
        _needed("seq", sa.Integer()),
        _needed("time", TIME),
        _needed("data", JSON),
    )
    _index("job_events", "source", "event_id", unique=True)
    _index("job_events", "job_id", "id")


def _dead_letters() -> None:
    _table(
        "dead_letters",
        *_place_columns(),
        sa.Column("timestamp", TIME),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary()),
        _needed("headers", JSON),
        _needed("reason", sa.String(64)),
        _needed("message", sa.Text()),
        _needed("dead_at", TIME),
        _needed("redriven", sa.Boolean()),
        key=PLACE_COLUMNS,
    )
    _index("dead_letters", "dead_at")


def _audit_log() -> None:
    _table(
        "audit_log",
        *_place_columns(),
        _needed("event_id", sa.Text()),
        _needed("time", TIME),
        _needed("who", sa.Text()),
        _needed("what", sa.String(128)),
        _needed("subject", ID),
        _needed("hash", sa.String(64)),
        key=PLACE_COLUMNS,
    )


def _projected_offsets() -> None:
    epoch, topic, partition, _ = _place_columns()
    _table("projected_offsets", epoch, topic, partition, _needed("next", sa.BigInteger()), key=PLACE_COLUMNS[:3])


PLACE_COLUMNS = ("epoch", "topic", "partition", "offset")


def _place_columns() -> tuple[sa.Column[Any], ...]:
    return (
        _needed("epoch", sa.String(64)),
        _needed("topic", sa.String(255)),
        _needed("partition", sa.Integer()),
        _needed("offset", sa.BigInteger()),
    )
