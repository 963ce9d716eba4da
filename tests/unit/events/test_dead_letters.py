"""A dead letter gives back exactly what was put aside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.dead_letters import REDRIVEN_FROM, DeadLetter, Redriven
from events.envelope import CloudEvent, decode, headers_of

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


def test_the_mark_of_a_letter_names_it_and_carries_no_value() -> None:
    letter = DeadLetter("t", 3, 17, 1000, None, b"\xff", (("a", None),), "not_json", "first", cut=True)
    redriven = Redriven(5000, "ada@Rechner-ü", 2, 99)
    key, value, headers = letter.redriven_as(redriven).to_record()
    assert (key, value) == (b"", None)
    read = DeadLetter.from_record(key, value, headers)
    assert (read.place, read.redriven, read.cut, read.reason) == ("t:3:17", redriven, True, "not_json")
    assert (read.key, read.headers) == (None, ())


def test_a_mark_that_is_put_aside_itself_gives_back_all_its_headers() -> None:
    mark = DeadLetter("t", 3, 17, 1000, b"k", None, (), "not_json", "first").redriven_as(Redriven(1, "ada", 0, 5))
    key, value, headers = mark.to_record()
    outer = DeadLetter("dead", 0, 5, 2000, key, value, tuple(headers), "internal_error", "second")
    assert DeadLetter.from_record(*outer.to_record()) == outer


def test_what_is_sent_back_and_refused_again_is_a_letter_with_its_lineage() -> None:
    first = DeadLetter("t", 3, 17, 1000, None, b"\xff", (("a", None),), "not_json", "first")
    key, value, headers = first.original()
    assert (key, value, headers) == (None, b"\xff", [("a", None), (REDRIVEN_FROM, b"t:3:17")])
    again = DeadLetter("t", 3, 18, 2000, key, value, tuple(headers), "not_json", "second")
    assert DeadLetter.from_record(*again.to_record()) == again
    assert again.original()[2] == [("a", None), (REDRIVEN_FROM, b"t:3:17"), (REDRIVEN_FROM, b"t:3:18")]


def test_a_letter_among_the_dead_letters_that_is_sent_back_there_is_the_same_letter() -> None:
    inner = DeadLetter("t", 3, 17, 1000, b"k", b"\xff", (), "not_json", "first")
    key, value, headers = inner.to_record()
    outer = DeadLetter("dead", 0, 5, 2000, key, value, tuple(headers), "internal_error", "second")
    assert DeadLetter.from_record(*outer.original()) == inner


def test_the_header_more_changes_no_event() -> None:
    event = CloudEvent(source="s", type="ai.omniscope.ml.noop.requested.v1", subject="j", data={"job_id": "j"})
    more = (REDRIVEN_FROM, b"t:3:17")
    assert decode(event.to_bytes(), [*headers_of(event), more]) == event
    binary = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", b"t")]
    told = decode(b'{"a": 1}', [*binary, ("ce_time", b"2026-01-31T12:00:00Z"), more])
    assert told.extensions == {}


def test_another_record_is_none() -> None:
    with pytest.raises(ValueError, match="header"):
        DeadLetter.from_record(b"k", b"v", [("content-type", b"text/plain")])
