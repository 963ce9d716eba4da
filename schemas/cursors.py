"""Cursors: a place in a list that is sorted by (created_at, id), newest first, as one opaque word.

A cursor is no secret and grants nothing. Its digest is there to tell a mangled one, or one that belongs to
another list or filter, from a good one: going on from a wrong place would quietly skip rows.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from events.identifiers import is_identifier

MAX_LENGTH = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_BYTES = 8
_DIGEST_BYTES = 8


class InvalidCursor(ValueError):
    """The text is no cursor of this list."""


@dataclass(frozen=True, slots=True)
class Place:
    """The last row somebody has seen. `created_at` is aware and exact to the microsecond."""

    created_at: datetime
    id: str


def encode(place: Place, scope: str) -> str:
    """The cursor for `place` in the list that `scope` names (its table and filters): URL-safe, unpadded."""
    micros = (place.created_at - _EPOCH) // _MICROSECOND
    payload = micros.to_bytes(_TIME_BYTES, "big", signed=True) + place.id.encode()
    return base64.urlsafe_b64encode(payload + _digest(payload, scope)).rstrip(b"=").decode()


def decode(text: str, scope: str) -> Place:
    """The inverse of `encode`.

    Raises:
        InvalidCursor: the text was changed, cut off, or made for another list or other filters.
    """
    raw = _bytes(text)
    payload, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if len(payload) <= _TIME_BYTES or digest != _digest(payload, scope):
        raise InvalidCursor("this is not a cursor of this list with these filters")
    try:
        micros = int.from_bytes(payload[:_TIME_BYTES], "big", signed=True)
        place = Place(_EPOCH + micros * _MICROSECOND, payload[_TIME_BYTES:].decode("ascii"))
    except (OverflowError, UnicodeDecodeError) as error:
        raise InvalidCursor("this cursor points nowhere") from error
    if not is_identifier(place.id):
        raise InvalidCursor("this cursor points nowhere")
    return place


def _bytes(text: str) -> bytes:
    if len(text) <= MAX_LENGTH:
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        # Base64 has spare bits at its end: only the one spelling that `encode` writes is taken.
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text:
            return raw
    raise InvalidCursor("this is not a cursor")


def _digest(payload: bytes, scope: str) -> bytes:
    return hashlib.blake2b(scope.encode() + b"\0" + payload, digest_size=_DIGEST_BYTES).digest()
