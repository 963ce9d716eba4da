"""CloudEvents 1.0 on Kafka: structured JSON and binary in, structured JSON out.

Source: CloudEvents specification 1.0.2, JSON event format 1.0, Kafka protocol binding 1.0.
"""

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import InvalidEvent, ReasonCode
from .identifiers import new_id

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
TYPE_PREFIX = "ai.omniscope."
TYPE_SUFFIX = ".v1"

#: How deep the data of a request may be nested: what writes it down again must not run out of stack.
MOST_LEVELS = 64
#: How deep an event may be nested: one that carries a whole request must be readable, too.
_MOST_LEVELS_OF_AN_EVENT = MOST_LEVELS + 16

Headers = Iterable[tuple[str, bytes | None]]

_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]+\Z")


def full_type(name: str) -> str:
    """`ml.job.started` → `ai.omniscope.ml.job.started.v1`."""
    return f"{TYPE_PREFIX}{name}{TYPE_SUFFIX}"


class CloudEvent(BaseModel):
    """One event. `extra` attributes are CloudEvents extensions (`traceparent`, `project`, …) and travel along."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: str = "1.0"
    id: str = Field(default_factory=new_id, min_length=1)
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str | None = None
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    datacontenttype: str | None = "application/json"
    dataschema: str | None = None
    data: dict[str, Any]

    @field_validator("specversion")
    @classmethod
    def _is_version_1(cls, value: str) -> str:
        if value != "1.0":
            raise ValueError("must be 1.0")
        return value

    @field_validator("time")
    @classmethod
    def _is_utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("must carry a time zone, as in 2026-01-31T12:00:00Z")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError("lies outside of the calendar") from None

    @model_validator(mode="after")
    def _attributes_can_be_stored(self) -> Self:
        for name in ("id", "source", "type", "subject", "dataschema"):
            if "\0" in (getattr(self, name) or ""):
                raise ValueError(f"attribute {name} holds the character U+0000")
        return self

    @model_validator(mode="after")
    def _extensions_are_attributes(self) -> Self:
        for name, value in self.extensions.items():
            if not _ATTRIBUTE_NAME.match(name):
                raise ValueError(f"extension attribute {name!r} must be lower-case letters and digits")
            if not isinstance(value, str | int | bool):
                raise ValueError(f"extension attribute {name!r} must be a string, an integer or a boolean")
            if isinstance(value, str) and "\0" in value:
                raise ValueError(f"extension attribute {name!r} holds the character U+0000")
        return self

    @property
    def extensions(self) -> dict[str, Any]:
        return self.model_extra or {}

    @property
    def name(self) -> str:
        """The type without the common prefix and the version: `ml.job.started`."""
        return self.type.removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX)

    @property
    def identity(self) -> tuple[str, str]:
        """(source, id): two events with the same identity are the same event."""
        return self.source, self.id

    def to_bytes(self) -> bytes:
        """Structured JSON, as published."""
        return self.model_dump_json(exclude_none=True).encode()


def headers_of(event: CloudEvent) -> list[tuple[str, bytes]]:
    """The Kafka headers of a structured event. The type is repeated so that a consumer can filter unread."""
    return [("content-type", CONTENT_TYPE.encode()), ("ce_type", event.type.encode())]


def decode(value: bytes | None, headers: Headers = ()) -> CloudEvent:
    """Reads a Kafka record as a CloudEvent.

    Raises:
        InvalidEvent: `not_json` or `not_a_cloudevent`; the message says what to change.
    """
    named = {key.lower(): (raw or b"") for key, raw in headers}
    content_type = _text(named.get("content-type", b""), "content-type").split(";")[0].strip().lower()
    if content_type == "application/cloudevents+json":
        return _structured(value, None)
    if "ce_specversion" in named:
        return _binary(value, named, content_type)
    if content_type.startswith("application/cloudevents"):
        raise InvalidEvent(
            ReasonCode.NOT_A_CLOUDEVENT,
            f"content-type {content_type} is not supported: send application/cloudevents+json or ce_ headers",
        )
    return _structured(value, "no ce_specversion header and no specversion in the body")


def _structured(value: bytes | None, if_unmarked: str | None) -> CloudEvent:
    body = _json(value)
    if not isinstance(body, dict) or (if_unmarked and "specversion" not in body):
        raise InvalidEvent(
            ReasonCode.NOT_A_CLOUDEVENT,
            f"the record is no CloudEvent ({if_unmarked or 'the body is no JSON object'}): "
            "send structured CloudEvents 1.0 JSON, or binary with ce_ headers",
        )
    body = dict(body)
    if "data_base64" in body:
        if "data" in body:
            raise InvalidEvent(ReasonCode.NOT_A_CLOUDEVENT, "send data or data_base64, not both")
        body["data"] = _json(_unbase64(body.pop("data_base64")))
    return _validated(body)


def _binary(value: bytes | None, headers: Mapping[str, bytes], content_type: str) -> CloudEvent:
    attributes = {name.removeprefix("ce_"): _text(raw, name) for name, raw in headers.items() if name.startswith("ce_")}
    return _validated({**attributes, "datacontenttype": content_type or "application/json", "data": _json(value)})


def _validated(attributes: dict[str, Any]) -> CloudEvent:
    for required in ("specversion", "id", "source", "type"):
        if required not in attributes:
            raise InvalidEvent(ReasonCode.NOT_A_CLOUDEVENT, f"the CloudEvents attribute {required!r} is missing")
    try:
        return CloudEvent.model_validate(attributes)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "event"
        raise InvalidEvent(ReasonCode.NOT_A_CLOUDEVENT, f"CloudEvents attribute {field}: {first['msg']}") from None


def _json(value: bytes | None) -> Any:
    if not value:
        raise InvalidEvent(ReasonCode.NOT_JSON, "the record is empty: its value must be JSON")
    try:
        # Decoded here and strictly: json.loads would take UTF-16, and half surrogate pairs, from bytes.
        text = value.decode("utf-8-sig")
        body = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if text.count("[") + text.count("{") > _MOST_LEVELS_OF_AN_EVENT and is_deeper(body, _MOST_LEVELS_OF_AN_EVENT):
            raise ValueError(f"it is nested more than {_MOST_LEVELS_OF_AN_EVENT} levels deep")
        if "\\u" in text:
            _refuse_unstorable(body)
        return body
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(ReasonCode.NOT_JSON, f"the record's value is no JSON: {_brief(error)}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is larger than any float")
    return number


def is_deeper(body: Any, levels: int) -> bool:
    """Whether lists and objects are nested in it more than `levels` deep."""
    level = [body]
    for _ in range(levels):
        level = [part for whole in level for part in _parts(whole) if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _parts(whole: Any) -> Iterable[Any]:
    if isinstance(whole, dict):
        return whole.values()
    return whole if isinstance(whole, list) else ()


def _refuse_unstorable(body: Any) -> None:
    # Half of a surrogate pair is no UTF-8, and PostgreSQL keeps no NUL in a text: neither could be told on.
    if isinstance(body, str):
        body.encode()
        if "\0" in body:
            raise ValueError("a string holds the character U+0000")
    elif isinstance(body, dict):
        for key in body:
            _refuse_unstorable(key)
    for part in _parts(body):
        _refuse_unstorable(part)


def _brief(error: Exception) -> str:
    # A decoding error quotes nothing of the value but its position: no cell value can slip into a message.
    if isinstance(error, UnicodeError):
        return f"text that is no UTF-8, at position {getattr(error, 'start', '?')}"
    return str(error)


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidEvent(ReasonCode.NOT_A_CLOUDEVENT, f"header {name} is not UTF-8") from None


def _unbase64(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except ValueError:  # of which binascii.Error is one; another where the text is no ASCII
        raise InvalidEvent(ReasonCode.NOT_A_CLOUDEVENT, "data_base64 is not base64") from None
