"""What a projection is given, and the few habits all of them share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from events.envelope import CloudEvent
from events.identifiers import is_identifier
from schemas.projection.place import Place


@dataclass(frozen=True, slots=True)
class Told:
    """An event, its checked data (`fact`; for a request the data as sent), whom it is about, and where it stood."""

    event: CloudEvent
    fact: Any
    key: str
    place: Place


def utc(time: datetime) -> datetime:
    """An aware time: what carries no zone was meant as UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def text(value: object) -> str | None:
    """The text in a field that nobody has checked, or None."""
    return value if isinstance(value, str) else None


def identifier(value: object) -> str | None:
    """The identifier in a field that nobody has checked, or None."""
    return value if isinstance(value, str) and is_identifier(value) else None
