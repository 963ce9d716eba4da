"""What waits is kept, holds back its own place alone, and is given up in the log's own time."""

import time

import pytest

from events.topics import Topic
from infra.tracking import waiting
from infra.tracking.waiting import PROMOTION_S, WORD_S, Waiting
from schemas.projection import Place, Record

NOW_MS = int(time.time() * 1000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_BETWEEN_TRIES_S", 0.0)


def record(offset: int = 3, ms: int = NOW_MS, topic: str = Topic.MODEL_PROMOTION) -> Record:
    return Record(Place("epoch", topic, 0, offset, ms), b"key", b"value")


def test_only_its_own_partition_is_held_back() -> None:
    held, kept = Waiting(), {(Topic.MODEL_PROMOTION, 0): 9, (Topic.JOBS, 0): 5}
    held.add(record(offset=4))
    held.add(record(offset=3))
    assert held.before(kept) == {(Topic.MODEL_PROMOTION, 0): 3, (Topic.JOBS, 0): 5}
    due = held.due()
    assert held.put_back(due, [], 0) == []
    assert held.before(kept) == kept
    assert held.due() == []


@pytest.mark.parametrize(("topic", "patience"), [(Topic.MODEL_PROMOTION, PROMOTION_S), (Topic.PROGRESS, WORD_S)])
def test_it_is_given_up_when_the_log_has_been_read_far_enough_beyond_it(topic: str, patience: float) -> None:
    held, old = Waiting(), record(ms=1_000_000, topic=topic)
    held.add(old)
    due = held.due()
    assert held.put_back(due, due, horizon_ms=int(1_000_000 + patience * 1000) - 1) == []
    assert held.due() == [old]
    assert held.put_back([old], [old], horizon_ms=int(1_000_000 + patience * 1000)) == [old]
    assert held.due() == []


def test_a_clock_that_runs_ahead_gets_no_more_patience() -> None:
    held, ahead = Waiting(), record(ms=NOW_MS + 10**9)
    held.add(ahead)
    due = held.due()
    assert held.put_back(due, due, NOW_MS + 1000) == []
    assert held.put_back([ahead], [ahead], NOW_MS + 3600 * 1000) == [ahead]


def test_between_two_tries_there_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_BETWEEN_TRIES_S", 3600.0)
    held = Waiting()
    held._tried_at = time.monotonic()
    held.add(record())
    assert held.due() == []
