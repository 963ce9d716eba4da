"""A request that came before its dataset waits a bounded time, whatever the clocks of publishers and worker say."""

import time
from dataclasses import replace

import pytest
from support.fakes import MemoryStore
from support.lives import automl

from events.errors import OmniScopeError, ReasonCode
from infra.jobs.catalogue import POLL_S, Catalogue

FAR_MS = 10**9 * 1000


class Clock:
    """Goes on only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.mark.parametrize("jump_s", [-86_400 * 365, 0, 86_400 * 365])
async def test_a_jump_of_the_wall_clock_makes_the_wait_neither_longer_nor_shorter(
    monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    clock, real = Clock(), time.time
    said: list[float] = []

    async def waiting() -> None:
        said.append(clock.now)
        monkeypatch.setattr(time, "time", lambda: real() + jump_s)

    with pytest.raises(OmniScopeError) as refused:
        await Catalogue(MemoryStore(), clock=clock, sleep=clock.sleep).wait_for("nobodys", 30, waiting)
    assert refused.value.reason is ReasonCode.DATASET_UNKNOWN
    assert said == [1000.0]
    assert 1030.0 <= clock.now < 1030.0 + 2 * POLL_S


def test_a_record_that_is_dated_ahead_has_just_come() -> None:
    delivery = automl()
    ahead = replace(delivery, timestamp_ms=delivery.timestamp_ms + FAR_MS)
    assert ahead.age_s == 0
    assert replace(delivery, timestamp_ms=2**63 - 1).age_s == 0
    assert replace(delivery, timestamp_ms=delivery.timestamp_ms - FAR_MS).age_s >= FAR_MS / 1000
