"""The whole contract in one table: event type → topic, model, and the field that is its key.

`parse` reads a record against it in two steps, because a request whose content is wrong still owns its job:
`identify` says who it is about (or it is a dead letter), `validate` says whether it can be carried out.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from . import explanations, outcomes, requests
from .envelope import MOST_LEVELS, CloudEvent, Headers, decode, full_type, is_deeper
from .errors import InvalidEvent, ReasonCode
from .identifiers import is_identifier
from .topics import MAX_EVENT_BYTES, JobKind, Topic


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event. `key` names the field of `data` that is the record's key and the event's subject."""

    name: str
    topic: Topic
    model: type[BaseModel]
    key: str = "job_id"
    kind: JobKind | None = None

    @property
    def type(self) -> str:
        return full_type(self.name)


_EVENTS = (
    EventType("datasets.uploaded", Topic.DATASETS_UPLOADED, requests.DatasetUploaded, "dataset_id"),
    EventType("ml.automl.requested", Topic.AUTOML, requests.AutomlRequested, kind=JobKind.AUTOML),
    EventType(
        "ml.deep-learning.requested",
        Topic.DEEP_LEARNING,
        requests.DeepLearningRequested,
        kind=JobKind.DEEP_LEARNING,
    ),
    EventType(
        "ml.transfer-learning.requested",
        Topic.TRANSFER_LEARNING,
        requests.TransferLearningRequested,
        kind=JobKind.TRANSFER_LEARNING,
    ),
    EventType("ml.ensemble.requested", Topic.ENSEMBLE, requests.EnsembleRequested, kind=JobKind.ENSEMBLE),
    EventType("ml.explanation.requested", Topic.EXPLANATION, requests.ExplanationRequested, kind=JobKind.EXPLANATION),
    EventType("ml.noop.requested", Topic.NOOP, requests.NoopRequested, kind=JobKind.NOOP),
    EventType("ml.cancellation.requested", Topic.CANCELLATION, requests.CancellationRequested),
    EventType("ml.model-deletion.requested", Topic.MODEL_DELETION, requests.ModelDeletionRequested, "model_id"),
    EventType("ml.model-promotion.requested", Topic.MODEL_PROMOTION, requests.ModelPromotionRequested, "model_id"),
    EventType("ml.job.started", Topic.JOBS, outcomes.JobStarted),
    EventType("ml.job.completed", Topic.JOBS, outcomes.JobCompleted),
    EventType("ml.job.failed", Topic.JOBS, outcomes.JobFailed),
    EventType("ml.job.cancelled", Topic.JOBS, outcomes.JobCancelled),
    EventType("ml.job.cancellation-refused", Topic.JOBS, outcomes.CancellationRefused),
    EventType("ml.job.progressed", Topic.PROGRESS, outcomes.JobProgressed),
    EventType("ml.model.completed", Topic.MODELS, outcomes.ModelCompleted, "model_id"),
    EventType("ml.model.registered", Topic.MODELS, outcomes.ModelRegistered, "model_id"),
    EventType("ml.model.promoted", Topic.MODELS, outcomes.ModelPromoted, "model_id"),
    EventType("ml.model.deleted", Topic.MODELS, outcomes.ModelDeleted, "model_id"),
    EventType("ml.model.deletion-refused", Topic.MODELS, outcomes.ModelDeletionRefused, "model_id"),
    EventType("ml.explanation.completed", Topic.EXPLANATIONS, explanations.ExplanationCompleted, "job_id"),
    EventType("ml.dataset.registered", Topic.DATASETS, outcomes.DatasetRegistered, "dataset_id"),
    EventType("ml.dataset.rejected", Topic.DATASETS, outcomes.DatasetRejected, "dataset_id"),
)

EVENTS: dict[str, EventType] = {event.type: event for event in _EVENTS}
EVENT_OF_MODEL: dict[type[BaseModel], EventType] = {event.model: event for event in _EVENTS}


@dataclass(frozen=True, slots=True)
class Identified:
    """An event known by type and key, its data not yet checked."""

    event: CloudEvent
    type: EventType
    key: str

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the data as sent, in canonical JSON, before any default is filled in."""
        return content_hash(self.event.data)


def content_hash(data: dict[str, Any]) -> str:
    """SHA-256 of `data` as JSON with sorted keys and no spaces: equal content, equal hash."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def identify(topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Identified:
    """Reads a record of `topic` as far as knowing what it is and whom it is about.

    Raises:
        InvalidEvent: with a reason that makes the record a dead letter.
    """
    event = decode(value, headers)
    _refuse_size(event, value)
    known = EVENTS.get(event.type)
    if known is None:
        raise InvalidEvent(ReasonCode.UNKNOWN_TYPE, f"type {event.type!r:.200} is not one of this system's types")
    if known.topic != topic:
        raise InvalidEvent(ReasonCode.WRONG_TOPIC, f"type {event.type} belongs on topic {known.topic}")
    if issubclass(known.model, requests.Request):
        _refuse_depth(event)
    return Identified(event, known, _key_of(event, known.key, key))


def _refuse_depth(event: CloudEvent) -> None:
    # A job's events carry its request a few levels further down, and are read by the same rules.
    if is_deeper(event.data, MOST_LEVELS):
        raise InvalidEvent(ReasonCode.NOT_JSON, f"the event's data is nested more than {MOST_LEVELS} levels deep")


def _refuse_size(event: CloudEvent, value: bytes | None) -> None:
    # A job's events carry its request; written again, a number like 1e15 takes five times its room.
    if len(value or b"") > MAX_EVENT_BYTES // 8 and (size := len(event.to_bytes())) > MAX_EVENT_BYTES:
        raise InvalidEvent(
            ReasonCode.EVENT_TOO_LARGE,
            f"the event has {size:,} bytes, the limit is {MAX_EVENT_BYTES:,}: "
            "name fewer columns, by exclude_columns for instance, or publish a file and refer to it",
        )


def _key_of(event: CloudEvent, field: str, key: bytes | None) -> str:
    told = event.data.get(field)
    identifier = event.subject if told is None else told
    if identifier is None:
        raise InvalidEvent(ReasonCode.JOB_ID_MISSING, f"data.{field} is missing, and the event has no subject")
    if not is_identifier(identifier):
        raise InvalidEvent(
            ReasonCode.JOB_ID_INVALID,
            f"{field} must be 1 to 128 letters, digits, '.', '_' or '-', and begin with a letter or digit",
        )
    if event.subject is not None and event.subject != identifier:
        raise InvalidEvent(
            ReasonCode.SUBJECT_MISMATCH,
            f"the subject contradicts data.{field}: send the same {field} in both",
        )
    if key is not None and key != identifier.encode():
        raise InvalidEvent(
            ReasonCode.KEY_MISMATCH,
            f"the record's key contradicts data.{field}: send the same {field} in both",
        )
    return str(identifier)


def validate(identified: Identified) -> Any:
    """The event's data as its model.

    Raises:
        InvalidEvent: `unknown_field`, `missing_field`, `out_of_range` or `invalid_field`, naming the field.
    """
    try:
        return identified.type.model.model_validate_json(
            json.dumps({**identified.event.data, identified.type.key: identified.key})
        )
    except ValidationError as error:
        raise _as_invalid(error) from None


_RANGE = {
    "greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number",
    "too_short", "too_long", "string_too_long", "string_too_short", "int_parsing_size",
}  # fmt: skip


def _as_invalid(error: ValidationError) -> InvalidEvent:
    found = error.errors(include_url=False, include_input=False)
    # The plainest cause first: a misspelt field often makes another one missing.
    first = min(
        found,
        key=lambda e: (
            ("extra_forbidden", "missing").index(e["type"]) if e["type"] in ("extra_forbidden", "missing") else 2
        ),
    )
    field = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    match first["type"]:
        case "extra_forbidden":
            return InvalidEvent(ReasonCode.UNKNOWN_FIELD, f"data.{field} is not a field of this request{more}")
        case "missing":
            return InvalidEvent(ReasonCode.MISSING_FIELD, f"data.{field} is required{more}")
        case kind if kind in _RANGE:
            return InvalidEvent(ReasonCode.OUT_OF_RANGE, f"data.{field}: {first['msg']}{more}")
        case _:
            return InvalidEvent(ReasonCode.INVALID_FIELD, f"data.{field}: {first['msg']}{more}")


def json_schemas() -> dict[str, dict[str, Any]]:
    """Event type → JSON Schema (draft 2020-12) of its data."""
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", **event.model.model_json_schema()}
        for name, event in EVENTS.items()
    }
