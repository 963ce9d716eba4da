"""The contract as one table: every type has a topic, a model, a key; bad requests are told apart."""

from typing import Any

import jsonschema
import pytest

from events.envelope import MOST_LEVELS, CloudEvent, full_type, headers_of
from events.errors import InvalidEvent
from events.identifiers import is_identifier, model_id_of
from events.requests import AutomlRequested
from events.topics import JOB_KIND_OF_TOPIC, MAX_EVENT_BYTES, TOPICS, JobKind, Topic
from events.vocabulary import EVENT_OF_MODEL, EVENTS, content_hash, identify, json_schemas, validate

REQUEST = {"dataset_id": "d1", "target_column": "outcome"}


def read(data: dict[str, Any], *, subject: str | None = "job-1", key: bytes | None = b"job-1") -> Any:
    event = CloudEvent(source="test", type=full_type("ml.automl.requested"), subject=subject, data=data)
    return identify(Topic.AUTOML, key, event.to_bytes(), headers_of(event))


def test_every_kind_has_its_topic_and_every_type_its_model() -> None:
    assert {kind.topic for kind in JobKind} == set(JOB_KIND_OF_TOPIC)
    assert {event.kind for event in EVENTS.values() if event.kind} == set(JobKind)
    assert len(EVENT_OF_MODEL) == len(EVENTS), "one model serves two types"
    assert {spec.name for spec in TOPICS} == set(Topic)
    assert all(event.key in event.model.model_fields for event in EVENTS.values())


def test_every_schema_is_a_valid_schema_and_refuses_what_the_model_refuses() -> None:
    schemas = json_schemas()
    assert set(schemas) == set(EVENTS)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    automl = jsonschema.Draft202012Validator(schemas[full_type("ml.automl.requested")])
    assert automl.is_valid({**REQUEST, "time_limit": 60})
    assert not automl.is_valid({**REQUEST, "time_limit": 0})
    assert not automl.is_valid({**REQUEST, "misspelt": 1})


def test_the_job_id_is_the_subject_where_the_data_say_none() -> None:
    request = validate(read(REQUEST))
    assert isinstance(request, AutomlRequested)
    assert (request.job_id, request.time_limit, request.quality) == ("job-1", 600, "good_quality")
    assert validate(read({**REQUEST, "job_id": "job-2"}, subject=None, key=None)).job_id == "job-2"


@pytest.mark.parametrize(
    ("data", "subject", "key", "reason"),
    [
        ({}, None, None, "job_id_missing"),
        ({"job_id": "../x"}, None, None, "job_id_invalid"),
        ({}, "a/b", None, "job_id_invalid"),
        ({"job_id": ""}, "s", None, "job_id_invalid"),
        ({"job_id": 7}, None, None, "job_id_invalid"),
        ({"job_id": "a" * 129}, None, None, "job_id_invalid"),
        ({"job_id": "a\n"}, None, None, "job_id_invalid"),
        ({"job_id": "a"}, "b", None, "subject_mismatch"),
        ({"job_id": "a"}, "a", b"b", "key_mismatch"),
        ({"job_id": "a"}, "a", b"", "key_mismatch"),
    ],
)
def test_an_event_that_names_no_job_is_refused(data: dict[str, Any], subject: Any, key: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read({**REQUEST, **data}, subject=subject, key=key)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("data", "reason", "named"),
    [
        ({"time_limit": 0}, "out_of_range", "time_limit"),
        ({"time_limit": -1}, "out_of_range", "time_limit"),
        ({"time_limit": 10**9}, "out_of_range", "time_limit"),
        ({"time_limit": "60"}, "invalid_field", "time_limit"),
        ({"time_limit": 1.5}, "invalid_field", "time_limit"),
        ({"timelimit": 60}, "unknown_field", "timelimit"),
        ({"quality": "excellent"}, "invalid_field", "quality"),
        ({"target_column": None}, "invalid_field", "target_column"),
        ({"dataset_id": "../x"}, "invalid_field", "dataset_id"),
        ({"feature_columns": []}, "out_of_range", "feature_columns"),
        ({"resources": {"cpus": 0}}, "out_of_range", "resources.cpus"),
        ({"seed": -1}, "out_of_range", "seed"),
    ],
)
def test_a_wrong_field_is_named(data: dict[str, Any], reason: str, named: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        validate(read({**REQUEST, **data}))
    assert refused.value.reason == reason
    assert f"data.{named}" in refused.value.message


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidEvent) as refused:
        validate(read({"dataset_id": "d1"}))
    assert (refused.value.reason, "target_column" in refused.value.message) == ("missing_field", True)


def test_what_would_grow_beyond_the_limit_when_written_again_is_refused() -> None:
    event = CloudEvent(source="test", type=full_type("ml.automl.requested"), subject="j", data={"a": "HERE"})
    value = event.to_bytes().replace(b'"HERE"', b"[" + b"1e15," * 180_000 + b"1]")
    assert len(value) < MAX_EVENT_BYTES
    with pytest.raises(InvalidEvent) as refused:
        identify(Topic.AUTOML, None, value, headers_of(event))
    assert refused.value.reason == "event_too_large"


def test_an_unknown_type_and_a_wrong_topic() -> None:
    event = CloudEvent(source="test", type="com.example.other", subject="a", data={})
    with pytest.raises(InvalidEvent, match="not one of"):
        identify(Topic.AUTOML, None, event.to_bytes(), headers_of(event))
    event = CloudEvent(source="test", type=full_type("ml.ensemble.requested"), subject="a", data={})
    with pytest.raises(InvalidEvent, match="belongs on topic"):
        identify(Topic.AUTOML, None, event.to_bytes(), headers_of(event))


def test_equal_content_has_an_equal_hash_whatever_its_order() -> None:
    assert content_hash({"a": 1, "b": [1.0, "é"]}) == content_hash({"b": [1.0, "é"], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 1.5})


def test_the_model_of_a_job_has_one_name() -> None:
    assert model_id_of("job-1") == model_id_of("job-1") != model_id_of("job-2")
    assert is_identifier(model_id_of("job-1"))


@pytest.mark.parametrize("nobody", ["", "   ", "\t"])
def test_a_promotion_needs_a_name_that_answers_for_it(nobody: str) -> None:
    data = {"model_id": "m", "approved_by": nobody}
    event = CloudEvent(source="test", type=full_type("ml.model-promotion.requested"), subject="m", data=data)
    found = identify(Topic.MODEL_PROMOTION, b"m", event.to_bytes(), headers_of(event))
    with pytest.raises(InvalidEvent, match="approved_by"):
        validate(found)


def test_a_request_that_is_just_deep_enough_can_be_told_on_by_its_job() -> None:
    def nested(levels: int) -> Any:
        return {"x": 1} if levels == 1 else {"x": nested(levels - 1)}

    deepest = read(nested(MOST_LEVELS)).event.data
    fact = {"job_id": "job-1", "kind": "automl", "attempt": 1, "request": deepest}
    event = CloudEvent(source="test", type=full_type("ml.job.failed"), subject="job-1", data=fact)
    assert identify(Topic.JOBS, b"job-1", event.to_bytes(), headers_of(event)).event == event
    with pytest.raises(InvalidEvent, match="deep"):
        read(nested(MOST_LEVELS + 1))
