"""A dead letter gives back exactly what was put aside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.dead_letters import DeadLetter

optional = st.none() | st.binary(max_size=50)


@given(key=optional, value=optional, headers=st.lists(st.tuples(st.text(max_size=10), optional), max_size=4))
def test_a_round_trip_changes_nothing(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    letter = DeadLetter("t", 3, 17, 1000, key, value, tuple(headers), "not_json", "Zeile 1: kein JSON")
    assert DeadLetter.from_record(*letter.to_record()) == letter


def test_a_dead_letter_of_a_dead_letter() -> None:
    inner = DeadLetter("t", 3, 17, 1000, None, b"\xff", (("a", None),), "not_json", "first")
    key, value, headers = inner.to_record()
    outer = DeadLetter("dead", 0, 5, 2000, key, value, tuple(headers), "unknown_type", "second")
    read = DeadLetter.from_record(*outer.to_record())
    assert read == outer
    assert DeadLetter.from_record(read.key, read.value, read.headers) == inner


def test_another_record_is_none() -> None:
    with pytest.raises(ValueError, match="header"):
        DeadLetter.from_record(b"k", b"v", [("content-type", b"text/plain")])
