"""How long a job may run: what the request says, or what no sound job of its kind exceeds; and what its end tells."""

from typing import Any

import pytest
from support.lives import House, noop

from events.outcomes import Reached
from events.requests import AutomlRequested, DeepLearningRequested, ExplanationRequested, NoopRequested
from infra.execution.messages import Killed, Progressed
from infra.jobs import deadline
from infra.jobs.deadline import seconds_for
from infra.jobs.endings import why

AUTOML = AutomlRequested(dataset_id="d", target_column="t", time_limit=600)


def test_the_request_decides_where_it_says_something() -> None:
    assert seconds_for(AUTOML.model_copy(update={"timeout_s": 30})) == 30


@pytest.mark.parametrize(
    "request_",
    [
        AUTOML,
        AUTOML.model_copy(update={"rerun_of": "m"}),
        DeepLearningRequested(dataset_id="d", target_column="t", architecture="lstm"),
        ExplanationRequested(model_id="m", method="shap"),
        NoopRequested(duration_s=3600),
    ],
    ids=lambda request: type(request).__name__,
)
def test_every_kind_has_an_end_and_room_for_its_work(request_: Any) -> None:
    own = getattr(request_, "time_limit", 0) + getattr(request_, "duration_s", 0)
    assert own + 1800 < seconds_for(request_) <= 7 * 24 * 3600


def test_a_replay_knows_no_clock_and_gets_longer_than_its_search() -> None:
    assert seconds_for(AUTOML.model_copy(update={"rerun_of": "m"})) > seconds_for(AUTOML)


def test_a_timeout_says_how_far_the_job_came() -> None:
    failure = why(Killed(), Reached(percent=45, message="Training epoch 45/100"), timed_out_after=60.0)
    assert failure.reason == "timed_out"
    assert "timeout_s = 60 s (it was at 45 %: Training epoch 45/100)" in failure.message
    assert "(" not in why(Killed(), None, timed_out_after=60.0).message


async def test_a_job_whose_time_is_up_ends_as_failed_with_what_it_had_reached(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "GRACE_S", 0.0)
    house = House(tmp_path, [Progressed(percent=50, message="Step 5 of 10", metrics={"loss": 0.25})])
    await house.handle(noop(timeout_s=1))
    told = house.outcomes.one("ml.job.failed").data
    assert told["error"]["reason"] == "timed_out"
    assert told["reached"] == {"percent": 50, "message": "Step 5 of 10", "metrics": {"loss": 0.25}}
