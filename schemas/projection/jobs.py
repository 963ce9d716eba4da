"""Requests, starts, words and ends of jobs → `training_jobs` and `job_events`."""

from datetime import datetime
from typing import Any

from events.outcomes import JobCancelled, JobCompleted, JobFailed, JobProgressed, JobStarted, JobStatus
from events.topics import JobKind
from schemas.projection.registers import Write
from schemas.projection.rules import JOB_EVENTS, JOBS
from schemas.projection.told import Told, identifier, text, utc

#: A job's last word comes after every word of every attempt.
ENDED = 2**31 - 1

_RANK = {JobStatus.PENDING: 0, JobStatus.RUNNING: 1}
_ENDED_RANK = 2
#: Who tells what was asked for: the job's own events know, a request may be one of two, a word from a job barely does.
_BY_JOB, _BY_REQUEST, _BY_WORD = range(3)

_MAKES_A_MODEL = {JobKind.AUTOML, JobKind.DEEP_LEARNING, JobKind.TRANSFER_LEARNING, JobKind.ENSEMBLE}


def requested(told: Told, kind: JobKind) -> list[Write]:
    """A job that nobody has started yet. Its data may be wrong: then it will fail, with a reason."""
    asked = _asked(told, kind, told.event.data, _BY_REQUEST)
    place = told.place.sort_key()
    word = _word(place, 0, -1, "Waiting for a worker", heard=None)
    return [_job(told, {**asked, **_status(JobStatus.PENDING, 0, place), **word})]


def started(told: Told) -> list[Write]:
    fact: JobStarted = told.fact
    place, started_at = told.place.sort_key(), utc(fact.started_at)
    message = "Started" if fact.attempt <= 1 else f"Started again (attempt {fact.attempt})"
    row = {
        **_status(JobStatus.RUNNING, fact.attempt, place),
        "started_at": started_at,
        **_word(place, fact.attempt, -1, message, heard=started_at),
    }
    return [_job(told, {**_asked(told, fact.kind, fact.request, _BY_JOB), **row}), _history(told, fact.attempt)]


def progressed(told: Told) -> list[Write]:
    """A word. It may be read before the request is: then it stands for the job until more is known."""
    fact: JobProgressed = told.fact
    word = _word(told.place.sort_key(), fact.attempt, fact.seq, fact.message, heard=told.event.time)
    word |= {"progress": fact.percent, "eta_s": fact.eta_s, "metrics": fact.metrics or None}
    row = {**_asked(told, fact.kind, {}, _BY_WORD), **_NO_STATUS, **word}
    return [_job(told, row), _history(told, fact.attempt, fact.seq)]


def completed(told: Told) -> list[Write]:
    fact: JobCompleted = told.fact
    made = {"model_id": fact.model_id, "explanation_id": fact.explanation_id}
    return _ended(told, JobStatus.COMPLETED, fact.summary, {**made, "progress": 100.0})


def failed(told: Told) -> list[Write]:
    fact: JobFailed = told.fact
    error = {"error_reason": fact.error.reason, "error": fact.error.message}
    return _ended(told, JobStatus.FAILED, fact.error.message, {**error, **_reached(fact)})


def cancelled(told: Told) -> list[Write]:
    fact: JobCancelled = told.fact
    return _ended(told, JobStatus.CANCELLED, f"Cancelled by {fact.requested_by}", _reached(fact))


def _reached(fact: JobFailed | JobCancelled) -> dict[str, Any]:
    """How far it had come, where its end tells."""
    if fact.reached is None:
        return {}
    return {"progress": fact.reached.percent, "metrics": fact.reached.metrics or None}


def cancellation_refused(told: Told) -> list[Write]:
    """The job has its end already; that somebody asked is part of its history."""
    return [_history(told, 0)]


def _ended(told: Told, status: JobStatus, message: str, columns: dict[str, Any]) -> list[Write]:
    # Nothing here comes from progress events: those are kept for days, this row for ever.
    fact: JobCompleted | JobFailed | JobCancelled = told.fact
    place, completed_at = told.place.sort_key(), utc(fact.completed_at)
    row = {
        **_status(status, fact.attempt, place),
        "completed_at": completed_at,
        "started_at": utc(fact.started_at) if fact.started_at else None,
        **_word(place, ENDED, fact.attempt, message, heard=completed_at),
        **columns,
    }
    return [_job(told, {**_asked(told, fact.kind, fact.request, _BY_JOB), **row}), _history(told, fact.attempt)]


def _job(told: Told, columns: dict[str, Any]) -> Write:
    return Write(JOBS, {"id": told.key, "started_at": None, **columns})


def _asked(told: Told, kind: str, request: dict[str, Any], by: int) -> dict[str, Any]:
    """What was asked for, and since when: a word from a job counts only as long as nothing better was heard."""
    return {
        "kind": kind,
        "model_type": kind if kind in _MAKES_A_MODEL else None,
        "name": text(request.get("name")),
        "dataset_id": identifier(request.get("dataset_id")),
        "created_by": text(request.get("created_by")) or "unknown",
        "request": request,
        "request_place": told.place.sort_key(by),
        "created_at": told.place.time,
        "created_place": told.place.sort_key(int(by == _BY_WORD)),
    }


def _status(status: JobStatus, attempt: int, place: str) -> dict[str, Any]:
    return {
        "status": status.value,
        "status_rank": _RANK.get(status, _ENDED_RANK),
        "status_place": place,
        "attempt": attempt,
        "error_reason": None,
        "error": None,
        "model_id": None,
        "explanation_id": None,
        "completed_at": None,
    }


_NO_STATUS = {**_status(JobStatus.PENDING, 0, ""), "status_rank": -1}


def _word(place: str, attempt: int, seq: int, message: str, *, heard: datetime | None) -> dict[str, Any]:
    return {
        "progress_attempt": attempt,
        "progress_seq": seq,
        "progress_place": place,
        "progress": 0.0,
        "message": message,
        "eta_s": None,
        "metrics": None,
        "last_heard_at": heard,
    }


def _history(told: Told, attempt: int, seq: int = 0) -> Write:
    event = told.event
    row = {
        "source": event.source,
        "event_id": event.id,
        "job_id": told.key,
        "type": event.name,
        "attempt": attempt,
        "seq": seq,
        "time": event.time,
        # The request stands in the job's own row; repeating it in every event would only take space.
        "data": {name: value for name, value in event.data.items() if name != "request"},
    }
    return Write(JOB_EVENTS, row)
