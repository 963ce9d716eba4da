"""Who sends a letter back, and what the dead letters' topic says of each: without any broker."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from events.dead_letters import DeadLetter, Redriven
from events.topics import Topic
from infra.kafka.letters.book import Book, Choice, short
from infra.kafka.letters.filed import Filed
from infra.storage.redrive_claims import STALE_S, Ours, RedriveClaims, Underway

LETTER = DeadLetter("omniscope.ml.noop.requested", 1, 7, 1000, b"k", b"{", (), "not_json", "no JSON")
SENT = Redriven(2000, "ada", 1, 9)


def claims(folder: Path, who: str = "ada", epoch: str = "e1") -> RedriveClaims:
    return RedriveClaims.open(str(folder), epoch, who)


def test_of_fifty_who_claim_at_once_one_sends(tmp_path: Path) -> None:
    with ThreadPoolExecutor(50) as threads:
        found = list(threads.map(lambda n: claims(tmp_path, f"worker {n}").take(LETTER), range(50)))
    assert sum(isinstance(claim, Ours) for claim in found) == 1
    assert sum(isinstance(claim, Underway) for claim in found) == 49


def test_a_claim_ends_as_sent_or_as_given_up(tmp_path: Path) -> None:
    ada, grace = claims(tmp_path, "ada"), claims(tmp_path, "grace")
    first = ada.take(LETTER)
    assert isinstance(first, Ours)
    ada.give_up(LETTER, first)
    assert grace.take(LETTER) == Ours(2)
    grace.sent(LETTER, SENT)
    assert ada.take(LETTER) == grace.take(LETTER) == SENT
    assert claims(tmp_path, epoch="another life of the log").take(LETTER) == Ours(1)


def test_what_was_broken_off_is_taken_over_by_one_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claims(tmp_path, "ada").take(LETTER) == Ours(1)
    assert isinstance(claims(tmp_path, "grace").take(LETTER), Underway)
    now = time.time
    monkeypatch.setattr("infra.storage.redrive_claims.time.time", lambda: now() + STALE_S)
    found = [claims(tmp_path, who).take(LETTER) for who in ("grace", "edith")]
    assert found[0] == Ours(2, broken_off="ada")
    assert isinstance(found[1], Underway)
    assert found[1].by == "grace"


def test_every_topic_has_a_short_name_of_its_own() -> None:
    assert len({short(topic) for topic in Topic}) == len(Topic)
    assert [short(name) for name in ("omniscope.ml.jobs:0:3", "ml.jobs:0:3", "jobs:0:3")] == ["jobs:0:3"] * 3


def filed(offset: int, at_ms: int, letter: DeadLetter = LETTER) -> Filed:
    return Filed(0, offset, at_ms, letter)


def test_a_letter_is_what_was_told_first_and_knows_its_mark_in_any_order() -> None:
    again = DeadLetter("omniscope.ml.noop.requested", 1, 7, 1000, b"k", b"{", (), "internal_error", "later")
    records = [filed(0, 5000), filed(1, 6000, again), filed(2, 4000, LETTER.redriven_as(SENT))]
    for order in itertools.permutations(records):
        book = Book()
        for record in order:
            book.add(record)
        (known,) = book.letters()
        assert (known.id, known.reason, known.filed) == ("noop.requested:1:7", "not_json", (0, 0))
        assert known.redriven == SENT


@pytest.mark.parametrize(
    ("choice", "is_meant"),
    [
        ({}, True),
        ({"ids": ["omniscope.ml.noop.requested:1:7"], "reasons": ["x", "not_json"]}, True),
        ({"topics": ["noop.requested"], "reasons": ["x"]}, False),
        ({"topics": ["jobs"]}, False),
        ({"ids": ["noop.requested:1:8"]}, False),
    ],
)
def test_a_choice_is_all_kinds_of_filter_at_once(choice: dict[str, Any], is_meant: bool) -> None:
    book = Book()
    book.add(filed(0, 5000))
    assert (book.letters()[0] in Choice.of(**choice)) == is_meant
