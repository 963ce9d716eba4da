"""Checks of what the API serves: the log, folded here once more in a few lines of its own."""

from collections.abc import Iterator
from typing import Any

from .evidence import Evidence

Row = tuple[str, int, str | None, str | None]
"""Status, attempt, error reason, model id."""


def folded(evidence: Evidence) -> dict[str, Row]:
    """Job → what its row must say."""
    found: dict[str, Row] = dict.fromkeys(evidence.asked, ("pending", 0, None, None))
    for job, starts in evidence.starts.items():
        found[job] = ("running", max(heard.data["attempt"] for heard in starts), None, None)
    for job, (end, *_) in evidence.ends.items():
        error = end.data.get("error") or {}
        status = end.name.rpartition(".")[2]
        found[job] = (status, end.data["attempt"], error.get("reason"), end.data.get("model_id"))
    return found


def differences(evidence: Evidence) -> Iterator[str]:
    """Rows that are not what the log says, that are missing, or that nobody asked for."""
    told = {row["job_id"]: _row(row) for row in evidence.rows}
    log = folded(evidence)
    for job in sorted(told.keys() | log.keys()):
        if told.get(job) != log.get(job):
            yield f"{job}: the API says {told.get(job)}, the log {log.get(job)}"
    yield from _models(evidence)


def _row(row: dict[str, Any]) -> Row:
    error = row["error"] or {}
    return row["status"], row["attempt"], error.get("reason"), row["model_id"]


def _models(evidence: Evidence) -> Iterator[str]:
    told = {heard.subject for heard in evidence.log if heard.name == "ml.model.completed"}
    shown = {row["model_id"] for row in evidence.models}
    for model in sorted(told ^ shown):
        yield f"model {model} is only in the {'log' if model in told else 'API'}"
