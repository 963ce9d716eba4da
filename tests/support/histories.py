"""Records as the log holds them, for tests of what is made of them."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from events.dead_letters import DeadLetter
from events.envelope import CloudEvent, full_type, headers_of
from events.vocabulary import EVENTS
from schemas.projection import Place, Record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

_EVALUATION = {
    "problem_type": "binary",
    "primary_metric": "auroc",
    "metrics": {"auroc": 0.97},
    "intervals": {"auroc": [0.95, 0.99]},
    "baseline": {"name": "logistic regression", "metrics": {"auroc": 0.99}, "beaten": False},
}


class Log:
    """A log in memory: every `add` is one record at the next offset of its partition."""

    def __init__(self, epoch: str = "epoch-1") -> None:
        self.epoch = epoch
        self.records: list[Record] = []
        self._counter = itertools.count()
        self._offsets: dict[tuple[str, int], int] = {}

    def add(
        self, name: str, data: dict[str, Any], *, partition: int = 0, at_s: float | None = None, source: str = "test"
    ) -> Record:
        """One event; `at_s` is its time in seconds after NOW (by default each one comes a second later)."""
        number = next(self._counter)
        time = NOW + timedelta(seconds=number if at_s is None else at_s)
        known = EVENTS[full_type(name)]
        event = CloudEvent(
            id=f"event-{number}", source=source, type=known.type, subject=data[known.key], time=time, data=data
        )
        return self.put(known.topic, event.to_bytes(), key=data[known.key].encode(), partition=partition, time=time,
                        headers=headers_of(event))  # fmt: skip

    def put(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        time: datetime = NOW,
        headers: Any = (),
    ) -> Record:
        """Any bytes."""
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        place = Place(self.epoch, str(topic), partition, offset, int(time.timestamp() * 1000))
        self.records.append(Record(place, key, value, tuple(headers)))
        return self.records[-1]

    def again(self, record: Record, *, partition: int = 0) -> Record:
        """The same event published a second time, later."""
        time = record.place.time + timedelta(seconds=1)
        return self.put(
            record.place.topic, record.value, key=record.key, partition=partition, time=time, headers=record.headers
        )

    def bury(self, letter: DeadLetter, *, at_s: float = 0) -> Record:
        key, value, headers = letter.to_record()
        time = NOW + timedelta(seconds=at_s)
        return self.put("omniscope.ml.dead-letters", value, key=key, time=time, headers=headers)


def request(job_id: str = "job-1", **also: Any) -> dict[str, Any]:
    return {"job_id": job_id, "dataset_id": "cohort", "target_column": "outcome", "created_by": "ada", **also}


def started(job_id: str = "job-1", attempt: int = 1, **also: Any) -> dict[str, Any]:
    return {
        "job_id": job_id, "kind": "automl", "attempt": attempt, "request": request(job_id), "worker": "w1",
        "started_at": _iso(10 * attempt), **also,
    }  # fmt: skip


def ended(job_id: str = "job-1", attempt: int = 1, **also: Any) -> dict[str, Any]:
    """What completed, failed and cancelled have in common; `also` says the rest."""
    return {
        "job_id": job_id, "kind": "automl", "attempt": attempt, "request": request(job_id),
        "started_at": _iso(10 * attempt), "completed_at": _iso(10 * attempt + 5), **also,
    }  # fmt: skip


def failed(job_id: str = "job-1", attempt: int = 1, **also: Any) -> dict[str, Any]:
    error = {"reason": "target_missing", "message": "the dataset has no column outcome"}
    return ended(job_id, attempt, error=error, **also)


def progressed(job_id: str = "job-1", attempt: int = 1, seq: int = 0, **also: Any) -> dict[str, Any]:
    return {
        "job_id": job_id, "kind": "automl", "attempt": attempt, "seq": seq, "percent": float(seq % 100),
        "message": f"Training model {seq}", "eta_s": 100.0 - seq, "metrics": {"auroc": 0.9}, **also,
    }  # fmt: skip


def model(model_id: str = "model-1", job_id: str = "job-1", **also: Any) -> dict[str, Any]:
    return {
        **_EVALUATION, "model_id": model_id, "model_name": "AutoML_1a2b3c4d", "model_type": "automl", "job_id": job_id,
        "dataset_id": "cohort", "dataset_sha256": "a" * 64, "target_column": "outcome", "architecture": "weighted sum",
        "hyperparameters": {}, "split_id": "split-1", "n_train": 400, "n_test": 100, "training_config": {},
        "artifacts_path": f"models/{model_id}/1/model", "files": {"MLmodel": "b" * 64}, "created_by": "ada",
        "created_at": _iso(20), **also,
    }  # fmt: skip


def explanation(explanation_id: str = "expl-1", model_id: str = "model-1", **also: Any) -> dict[str, Any]:
    return {
        "explanation_id": explanation_id, "job_id": "job-2", "model_id": model_id, "method": "shap",
        "explainer": "tree", "feature_importance": {"age": 0.4}, "visualizations": {"summary_plot": "summary.png"},
        "n_samples": 10, "artifacts_path": f"explanations/{explanation_id}", "files": {}, "created_at": _iso(40),
        **also,
    }  # fmt: skip


def registered_dataset(dataset_id: str = "cohort", **also: Any) -> dict[str, Any]:
    return {
        "dataset_id": dataset_id, "name": "Cohort", "uri": "/data/cohort.csv", "format": "csv", "sha256": "c" * 64,
        "size_bytes": 1000, "n_rows": 500, "n_columns": 2, "n_missing": 1, "registered_at": _iso(5),
        "columns": [{"name": "age", "type": "integer", "missing": 1, "distinct": 60}], **also,
    }  # fmt: skip


def rejected_dataset(dataset_id: str = "cohort", **also: Any) -> dict[str, Any]:
    error = {"reason": "file_empty", "message": "the file has no rows"}
    return {"dataset_id": dataset_id, "uri": "/data/cohort.csv", "error": error, **also}


def letter(offset: int = 7, reason: str = "not_json") -> DeadLetter:
    return DeadLetter(
        topic="omniscope.ml.automl.requested", partition=1, offset=offset, timestamp_ms=1_700_000_000_000, key=None,
        value=b"{", headers=(("traceparent", b"00-1"), ("empty", None)), reason=reason, message="no JSON",
    )  # fmt: skip


def as_json(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()


def _iso(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()
