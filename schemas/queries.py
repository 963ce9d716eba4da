"""The reads: plain selects in, response models out. Nothing here writes."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, RowMapping, Select, Table, bindparam, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from events.outcomes import Failure, JobStatus

from . import cursors
from .filters import DatasetFilter, ExplanationFilter, JobFilter, ListFilter, ModelFilter
from .responses import (
    DatasetPage,
    DatasetView,
    ExplanationPage,
    ExplanationResults,
    ExplanationSummary,
    JobPage,
    JobView,
    ModelPage,
    ModelResults,
    ModelSummary,
)
from .tables import datasets, explanations, metadata, ml_models, training_jobs

STALLED_AFTER = timedelta(seconds=60)
"""A running job says something every 15 s: silent for four times as long, something is wrong."""

View = TypeVar("View")

_DETAILS: dict[str, Any] = {
    "leaderboard": [],
    "warnings": [],
    "environment": {},
    "files": {},
    "classes": None,
    "dataset_sha256": None,
    "n_combination": 0,
    "pictures": {},
    "plan": {},
}
"""What `ml_models.details` may hold, and what is said where an older event did not tell it."""


def _columns(
    table: Table, view: type[BaseModel], called: Mapping[str, str], also: tuple[str, ...] = ()
) -> Select[tuple[Any, ...]]:
    """Selects the columns that `view` shows, under its names, and `also` some that it is made from."""
    named = ((column, called.get(column.key, column.key)) for column in table.c)
    return select(*(column.label(name) for column, name in named if name in view.model_fields or name in also))


_MODEL = {"id": "model_id", "name": "model_name", "type": "model_type"}
_JOBS = _columns(training_jobs, JobView, {"id": "job_id"}, also=("error_reason",))
#: Made once, for it is asked again and again; only the id differs.
_JOB = _JOBS.where(training_jobs.c.id == bindparam("row_id"))
_SUMMARIES = _columns(ml_models, ModelSummary, _MODEL)
_RESULTS = _columns(ml_models, ModelResults, _MODEL, also=("details", "deleted_at", "completed_place")).where(
    ml_models.c.id == bindparam("row_id")
)
_DATASETS = _columns(datasets, DatasetView, {"id": "dataset_id"}, also=("error_reason",))

_EXPLANATION = {"id": "explanation_id"}
_EXPLAINED = _columns(explanations, ExplanationSummary, _EXPLANATION)
_EXPLANATIONS = _columns(explanations, ExplanationResults, _EXPLANATION, also=("details",)).where(
    explanations.c.id == bindparam("row_id")
)
#: As `_DETAILS`, of an explanation.
_EXPLANATION_DETAILS: dict[str, Any] = {
    **dict.fromkeys(("dataset_id", "explainer", "exactness", "created_by"), ""),
    **{name: {} for name in ("importance_intervals", "class_importance", "files", "environment")},
    **{name: [] for name in ("samples", "warnings")},
    **dict.fromkeys(("additivity_error", "local_fit", "stability"), None),
    "space": "probability",
    "n_samples": 0,
    "n_background": 0,
}


class ModelDeleted(LookupError):
    """The model was there once; its files are gone since `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"deleted at {at:%Y-%m-%d %H:%M} UTC")
        self.at = at


async def list_jobs(connection: AsyncConnection, asked: JobFilter, now: datetime | None = None) -> JobPage:
    """Jobs, newest first.

    Raises:
        InvalidCursor: `asked.cursor` is not of this list.
    """
    at = now or datetime.now(UTC)
    items, following = await _page(connection, _JOBS, asked, lambda row: _job(row, at))
    return JobPage(items=items, next=following)


async def get_job(connection: AsyncConnection, job_id: str, now: datetime | None = None) -> JobView | None:
    """Where the job stands at `now`, or None where nobody has heard of it."""
    row = await _one(connection, _JOB, job_id)
    return _job(row, now or datetime.now(UTC)) if row is not None else None


async def list_models(connection: AsyncConnection, asked: ModelFilter) -> ModelPage:
    """Models that are there to be used, newest first: completed ones that nobody has deleted.

    Raises:
        InvalidCursor: `asked.cursor` is not of this list.
    """
    usable = _SUMMARIES.where(ml_models.c.completed_place.is_not(None), ml_models.c.deleted_at.is_(None))
    items, following = await _page(connection, usable, asked, _summary)
    return ModelPage(items=items, next=following)


async def get_model(connection: AsyncConnection, model_id: str) -> ModelResults | None:
    """All results of a model, or None where its completion has not been heard of.

    Raises:
        ModelDeleted: there was one.
    """
    row = await _one(connection, _RESULTS, model_id)
    if row is None:
        return None
    if row["deleted_at"] is not None:
        raise ModelDeleted(row["deleted_at"])
    # Other news of a model can be read first, as its registration: there are no results to show then.
    return _model(row) if row["completed_place"] is not None else None


async def list_explanations(connection: AsyncConnection, model_id: str, asked: ExplanationFilter) -> ExplanationPage:
    """What was explained of a model, newest first; of one that was deleted, too.

    Raises:
        InvalidCursor: `asked.cursor` is not of this list.
    """
    of_model = _EXPLAINED.where(explanations.c.model_id == model_id)
    items, following = await _page(
        connection, of_model, asked, lambda row: ExplanationSummary.model_validate(dict(row))
    )
    return ExplanationPage(items=items, next=following)


async def get_explanation(connection: AsyncConnection, explanation_id: str) -> ExplanationResults | None:
    """All that is known of an explanation, or None where nobody has heard of it."""
    row = await _one(connection, _EXPLANATIONS, explanation_id)
    if row is None:
        return None
    details = {name: row["details"].get(name, otherwise) for name, otherwise in _EXPLANATION_DETAILS.items()}
    return ExplanationResults.model_validate({**row, **details})


async def list_datasets(connection: AsyncConnection, asked: DatasetFilter) -> DatasetPage:
    """Datasets, newest first.

    Raises:
        InvalidCursor: `asked.cursor` is not of this list.
    """
    items, following = await _page(connection, _DATASETS, asked, _dataset)
    return DatasetPage(items=items, next=following)


async def probe(connection: AsyncConnection) -> None:
    """Reads no row of every table served here: fails where one, or a column of it, is not there.

    A newer schema that has more passes, so that API and migrations can be rolled out one after the other.
    """
    for table in (training_jobs, ml_models, explanations, datasets):
        await connection.execute(select(table).limit(0))


async def _one(connection: AsyncConnection, query: Select[Any], row_id: str) -> RowMapping | None:
    found: RowMapping | None = (await connection.execute(query, {"row_id": row_id})).mappings().one_or_none()
    return found


async def _page(
    connection: AsyncConnection, query: Select[Any], asked: ListFilter, view: Callable[[RowMapping], View]
) -> tuple[list[View], str | None]:
    """One page and the cursor of the next; reads one row more than asked to know whether there is one."""
    columns = metadata.tables[asked.table].c
    page = (
        query.add_columns(columns.created_at.label("_created_at"), columns.id.label("_id"))
        .where(*_wanted(asked, columns))
        .order_by(columns.created_at.desc(), columns.id.desc())
        .limit(asked.limit + 1)
    )
    rows = (await connection.execute(page)).mappings().all()
    shown = rows[: asked.limit]
    if len(rows) == len(shown):
        return [view(row) for row in shown], None
    last = cursors.Place(shown[-1]["_created_at"], shown[-1]["_id"])
    return [view(row) for row in shown], cursors.encode(last, asked.scope)


def _wanted(asked: ListFilter, columns: Any) -> Iterable[ColumnElement[bool]]:
    for name, value in asked.conditions().items():
        yield columns[name] == value
    if asked.cursor is not None:
        place = cursors.decode(asked.cursor, asked.scope)
        # A row value, not «or»: every database then walks its (created_at, id) index from there.
        seen = tuple_(literal(place.created_at, columns.created_at.type), literal(place.id, columns.id.type))
        yield tuple_(columns.created_at, columns.id) < seen


def _job(row: RowMapping, now: datetime) -> JobView:
    heard = row["last_heard_at"] or row["started_at"]
    silent = heard is not None and now - heard > STALLED_AFTER
    stalled = row["status"] == JobStatus.RUNNING and silent
    return JobView.model_validate({**row, "error": _failure(row), "stalled": stalled})


def _summary(row: RowMapping) -> ModelSummary:
    return ModelSummary.model_validate(dict(row))


def _model(row: RowMapping) -> ModelResults:
    details = {name: row["details"].get(name, otherwise) for name, otherwise in _DETAILS.items()}
    return ModelResults.model_validate({**row, **details})


def _dataset(row: RowMapping) -> DatasetView:
    return DatasetView.model_validate({**row, "error": _failure(row)})


def _failure(row: RowMapping) -> Failure | None:
    if row["error_reason"] is None:
        return None
    return Failure(reason=row["error_reason"], message=row["error"] or "")
