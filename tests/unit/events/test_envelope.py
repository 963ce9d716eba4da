"""CloudEvents in and out, held against the CloudEvents SDK where it has an opinion."""

import base64
import json
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import CloudEvent, decode, headers_of
from events.errors import InvalidEvent

ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "test", "type": "t", "subject": "s"}
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=utf-8"),)


def body(**more: Any) -> bytes:
    return json.dumps({**ATTRIBUTES, "time": "2026-01-31T12:00:00+02:00", "data": {"a": 1}, **more}).encode()


def test_structured_with_and_without_a_content_type() -> None:
    assert decode(body(), STRUCTURED) == decode(body())
    event = decode(body(traceparent="00-ab", project="atlas"))
    assert event.data == {"a": 1}
    assert event.time.isoformat() == "2026-01-31T10:00:00+00:00"
    assert event.extensions == {"traceparent": "00-ab", "project": "atlas"}


def test_binary_headers() -> None:
    headers = [(f"ce_{name}", value.encode()) for name, value in ATTRIBUTES.items()]
    event = decode(b'{"a": 1}', [*headers, ("content-type", b"application/json"), ("ce_project", b"atlas")])
    assert (event.type, event.subject, event.data, event.extensions) == ("t", "s", {"a": 1}, {"project": "atlas"})


def test_a_backslash_is_no_escape() -> None:
    told = {"path": "C:\\\\u0000\\u00e9"}
    assert decode(body(data=told)).data == told


def test_data_in_base64() -> None:
    encoded = base64.b64encode(b'{"a": 1}').decode()
    raw = json.dumps({**ATTRIBUTES, "data_base64": encoded}).encode()
    assert decode(raw).data == {"a": 1}


def test_what_we_write_the_sdk_reads() -> None:
    event = CloudEvent(source="test", type="t", subject="Zürich", data={"größe": [1, 2.5, None]}, project="atlas")
    read = sdk.from_structured_event(
        sdk.KafkaMessage(dict(headers_of(event)), b"k", event.to_bytes()),
    )
    assert read.get_data() == event.data
    assert (read.get_id(), read.get_subject(), read.get_extension("project")) == (event.id, "Zürich", "atlas")


@pytest.mark.parametrize("write", [sdk.to_structured_event, sdk.to_binary_event])
def test_what_the_sdk_writes_we_read(write: Any) -> None:
    attributes = {**ATTRIBUTES, "datacontenttype": "application/json", "project": "atlas"}
    message = write(SdkEvent(attributes, {"größe": [1, 2.5, None]}))
    event = decode(message.value, list(message.headers.items()))
    assert event.data == {"größe": [1, 2.5, None]}
    assert event.extensions == {"project": "atlas"}


NAMED = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", b"t")]

BAD: list[tuple[str, bytes | None, Any, str]] = [
    ("empty", b"", (), "not_json"),
    ("nothing", None, (), "not_json"),
    ("half", b'{"a":', (), "not_json"),
    ("no utf-8", b'"\xff"', (), "not_json"),
    ("half a surrogate pair", body(data={"a": "\ud800"}), (), "not_json"),
    ("a NUL in a text", body(data={"a": "x\x00y"}), (), "not_json"),
    ("half a surrogate pair, raw", b'{"a": "\xed\xa0\x80"}', (), "not_json"),
    ("UTF-16", body().decode().encode("utf-16"), (), "not_json"),
    ("300 levels", body(data={"a": json.loads("[" * 300 + "]" * 300)}), (), "not_json"),
    ("NaN", body().replace(b'{"a": 1}', b'{"a": NaN}'), (), "not_json"),
    ("a number beyond all floats", body().replace(b'{"a": 1}', b'{"a": 1e999}'), (), "not_json"),
    ("a time before the calendar", body(time="0001-01-01T00:00:00+10:00"), (), "not_a_cloudevent"),
    ("base64 of no ASCII", json.dumps({**ATTRIBUTES, "data_base64": "ü"}).encode(), (), "not_a_cloudevent"),
    ("very deep", b"[" * 100_000, (), "not_json"),
    ("a number of 10,000 digits", b"9" * 10_000, (), "not_json"),
    ("plain JSON", b'{"a": 1}', (), "not_a_cloudevent"),
    ("a list", b"[1]", STRUCTURED, "not_a_cloudevent"),
    ("a batch", body(), [("content-type", b"application/cloudevents-batch+json")], "not_a_cloudevent"),
    ("version 0.3", body(specversion="0.3"), (), "not_a_cloudevent"),
    ("no id", json.dumps({**ATTRIBUTES, "id": None, "data": {}}).encode(), (), "not_a_cloudevent"),
    ("empty source", body(source=""), (), "not_a_cloudevent"),
    ("data is text", body(data="text"), (), "not_a_cloudevent"),
    ("no data", json.dumps(ATTRIBUTES).encode(), (), "not_a_cloudevent"),
    ("time without zone", body(time="2026-01-31T12:00:00"), (), "not_a_cloudevent"),
    ("time is no time", body(time="yesterday"), (), "not_a_cloudevent"),
    ("extension in capitals", body(Project="x"), (), "not_a_cloudevent"),
    ("extension is a list", body(project=[1]), (), "not_a_cloudevent"),
    ("data twice", body(data_base64="e30="), (), "not_a_cloudevent"),
    ("no base64", json.dumps({**ATTRIBUTES, "data_base64": "~"}).encode(), (), "not_a_cloudevent"),
    ("a NUL in an attribute", b"{}", [*NAMED, ("ce_project", b"a\0b")], "not_a_cloudevent"),
    ("a NUL in the source", b"{}", [*NAMED[:2], ("ce_source", b"a\0b"), NAMED[3]], "not_a_cloudevent"),
    ("header no utf-8", b"{}", [("ce_specversion", b"1.0"), ("ce_id", b"\xff")], "not_a_cloudevent"),
]


@pytest.mark.parametrize(("value", "headers", "reason"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_no_event_is_refused_with_a_reason(value: bytes | None, headers: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode(value, headers)
    assert refused.value.reason == reason
    assert len(refused.value.message) > 15


@given(
    value=st.one_of(
        st.none(),
        st.binary(max_size=200),
        st.builds(
            lambda d: json.dumps(d).encode(),
            st.dictionaries(
                st.sampled_from([*ATTRIBUTES, "data", "time", "data_base64", "datacontenttype"]),
                st.recursive(
                    st.none() | st.booleans() | st.floats() | st.text(),
                    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
                ),
            ),
        ),
    ),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["content-type", "ce_id", "ce_specversion", "ce_type", "ce_source"]), st.binary(max_size=40)
        )
    ),
)
def test_anything_at_all_is_an_event_or_a_refusal(value: bytes | None, headers: Any) -> None:
    try:
        event = decode(value, headers)
    except InvalidEvent:
        return
    assert decode(event.to_bytes(), headers_of(event)) == event
