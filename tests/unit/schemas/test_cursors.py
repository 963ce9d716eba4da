"""A cursor comes back exactly, and nothing but a cursor is taken for one."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import cursors
from schemas.cursors import InvalidCursor, Place

PLACE = Place(datetime(2026, 1, 31, 12, 0, 0, 123457, tzinfo=UTC), "job-1.a_b")
IDENTIFIERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)), IDENTIFIERS, st.text(max_size=40))
def test_every_place_comes_back_exactly(created_at: datetime, identifier: str, scope: str) -> None:
    place = Place(created_at, identifier)
    text = cursors.encode(place, scope)
    assert cursors.decode(text, scope) == place
    assert len(text) <= cursors.MAX_LENGTH
    assert all(c.isalnum() or c in "-_" for c in text), "it must need no escaping in an address"


def test_each_changed_character_is_noticed() -> None:
    text = cursors.encode(PLACE, "jobs")
    for at, character in enumerate(text):
        for other in {"A", "b", "-", "9"} - {character}:
            with pytest.raises(InvalidCursor):
                cursors.decode(text[:at] + other + text[at + 1 :], "jobs")


@pytest.mark.parametrize("text", ["", "x", "=", "!!!!", "žluť", "A" * 24, "A" * 300])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.decode(text, "jobs")


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "A", lambda t: t + "=", lambda t: t + "\n"])
def test_a_cut_or_lengthened_cursor_is_refused(change) -> None:
    with pytest.raises(InvalidCursor):
        cursors.decode(change(cursors.encode(PLACE, "jobs")), "jobs")


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        cursors.decode(cursors.encode(PLACE, "jobs&status=failed"), "jobs")


@pytest.mark.parametrize(
    "payload",
    [
        (2**62).to_bytes(8, "big") + b"job",  # later than any date
        bytes(8) + b"../job",
        bytes(8) + "jöb".encode(),
        bytes(8) + b"a\0b",
    ],
)
def test_a_forged_digest_leads_nowhere_either(payload: bytes) -> None:
    digest = hashlib.blake2b(b"jobs\0" + payload, digest_size=8).digest()
    text = base64.urlsafe_b64encode(payload + digest).rstrip(b"=").decode()
    with pytest.raises(InvalidCursor):
        cursors.decode(text, "jobs")


def test_other_time_zones_mean_the_same_moment() -> None:
    elsewhere = Place(PLACE.created_at.astimezone(timezone(timedelta(hours=5))), PLACE.id)
    assert cursors.encode(elsewhere, "jobs") == cursors.encode(PLACE, "jobs")
