"""A job under which the disk runs full: not its fault, unless it happens every time."""

from typing import Any

import pytest
from support.lives import House, noop

from infra.execution.messages import Failed, Finished
from infra.jobs import attempts, space
from infra.jobs.space import NoSpace

FULL = Failed(reason="handler_error", message="no space is left on the worker's disk", infrastructure=True)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "LOOK_S", 0.0)
    monkeypatch.setattr(attempts, "MOST_FOR_SPACE", 3)


async def test_the_attempt_does_not_count_and_the_job_completes_when_there_is_room(tmp_path: Any) -> None:
    house = House(tmp_path, [FULL], [FULL], [Finished(summary="Done")])
    for _ in range(2):
        with pytest.raises(NoSpace):
            await house.handle(noop())
    await house.handle(noop())
    assert house.outcomes.one("ml.job.completed").data["attempt"] == 3


async def test_a_job_that_fills_the_disk_every_time_ends_with_a_reason(tmp_path: Any) -> None:
    house = House(tmp_path, [FULL], [FULL], [FULL])
    for _ in range(2):
        with pytest.raises(NoSpace):
            await house.handle(noop())
    await house.handle(noop())
    error = house.outcomes.one("ml.job.failed").data["error"]
    assert error["reason"] == "disk_full"
    assert "ran full 3 times" in error["message"]
