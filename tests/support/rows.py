"""Rows as the projector would have written them, for tests of what reads them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.storage.database import open_engine
from schemas.tables import datasets, metadata, ml_models, training_jobs

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


def _blank(table: Table) -> dict[str, Any]:
    """Null where that is allowed, else something of the right type: what readers never look at."""
    empty = {int: 0, float: 0.0, str: "", bool: False, dict: {}}
    return {c.key: None if c.nullable else empty.get(c.type.python_type, NOON) for c in table.c}


def job_row(job_id: str, **other: Any) -> dict[str, Any]:
    row = _blank(training_jobs) | {
        "id": job_id,
        "kind": "automl",
        "model_type": "automl",
        "status": "pending",
        "progress": 0.0,
        "message": "Waiting for a worker",
        "attempt": 0,
        "created_by": "ada",
        "dataset_id": "cohort-1",
        "request": {"job_id": job_id},
        "created_at": NOON,
    }
    return row | other


def model_row(model_id: str, **other: Any) -> dict[str, Any]:
    row = _blank(ml_models) | {
        "id": model_id,
        "job_id": f"job-of-{model_id}",
        "name": "AutoML_0123abcd",
        "type": "automl",
        "problem_type": "binary",
        "dataset_id": "cohort-1",
        "target_column": "outcome",
        "architecture": "WeightedEnsemble_L2",
        "hyperparameters": {"quality": "good_quality"},
        "training_config": {"dataset_id": "cohort-1", "target_column": "outcome"},
        "metrics": {"accuracy": 0.97, "auroc": 0.99},
        "intervals": {"accuracy": [0.93, 1.0]},
        "primary_metric": "auroc",
        "validation_score": 0.98,
        "baseline": {"name": "logistic regression", "metrics": {"accuracy": 0.95}, "intervals": {}, "beaten": True},
        "split_id": "split-1",
        "n_train": 455,
        "n_test": 114,
        "details": {
            "classes": ["benign", "malignant"],
            "warnings": ["few rows"],
            "files": {"model/MLmodel": "ab" * 32},
            "leaderboard": [{"name": "LightGBM", "validation_score": 0.97, "seconds": 1.2}],
            "environment": {"python": "3.11"},
            "dataset_sha256": "cd" * 32,
        },
        "artifacts_path": f"models/{model_id}",
        "completed_place": "place",
        "created_by": "ada",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return row | other


def explanation_row(explanation_id: str, **also: Any) -> dict[str, Any]:
    """A row of an explanation of the model `m`."""
    sample = {"row": 3, "class_name": "B cell", "prediction": 0.9, "base_value": 0.1, "contributions": {"CD79A": 0.5}}
    details = {
        "explainer": "interventional TreeSHAP",
        "exactness": "exact",
        "space": "probability",
        "importance_intervals": {"CD79A": [0.3, 0.5]},
        "class_importance": {"B cell": {"CD79A": 0.4}},
        "n_samples": 10,
        "n_background": 100,
        "samples": [sample],
        "additivity_error": 1e-12,
        "files": {"pictures/summary_plot.svg": "ab" * 32},
        "dataset_id": "cohort-1",
        "created_by": "ada",
    }
    row = {
        "id": explanation_id,
        "job_id": "job-x",
        "model_id": "m",
        "method": "shap",
        "feature_importance": {"CD79A": 0.4},
        "visualizations": {"summary_plot": "pictures/summary_plot.svg"},
        "details": details,
        "artifacts_path": f"explanations/{explanation_id}/attempt-1",
        "created_at": NOON,
        "place": "1",
    }
    return {**row, **also}


def dataset_row(dataset_id: str, **other: Any) -> dict[str, Any]:
    row = _blank(datasets) | {
        "id": dataset_id,
        "name": "Cohort",
        "status": "registered",
        "uri": "cohort.csv",
        "format": "csv",
        "sha256": "ef" * 32,
        "size_bytes": 1234,
        "n_rows": 569,
        "n_columns": 31,
        "n_missing": 0,
        "columns": [],
        "created_at": NOON,
        "registered_at": NOON,
    }
    return row | other


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh SQLite file with all tables in it."""
    engine = open_engine(f"sqlite+aiosqlite:///{folder / 'read.db'}")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield engine
    finally:
        await engine.dispose()


async def fill(engine: AsyncEngine, table: Any, *rows: dict[str, Any]) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(table), list(rows))
