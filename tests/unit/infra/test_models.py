"""What the life of a job keeps of a model, and what it gives to a job that makes a model again."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from support.lives import House, automl, noop

from events.envelope import CloudEvent, full_type
from events.identifiers import model_id_of
from events.outcomes import Baseline, DatasetRegistered, ModelFacts
from infra.execution.messages import Finished
from infra.jobs.catalogue import Manifest

MODEL = model_id_of("job-1")
RECORD = f"models/{MODEL}/record.json"
FACTS = ModelFacts(
    model_type="automl",
    problem_type="binary",
    primary_metric="auroc",
    metrics={"auroc": 0.9},
    intervals={"auroc": [0.8, 0.95]},
    baseline=Baseline(name="majority class", metrics={}, intervals={}, beaten=True),
    architecture="LightGBM",
    hyperparameters={},
    split_id="split-1-abc",
    n_train=80,
    n_test=20,
    plan={"version": 1, "models": [{"name": "LightGBM"}], "weights": {}},
)
TRAINED = Finished(summary="Trained", model=FACTS.model_dump(mode="json"), record={"packages": {"numpy": "2.0"}})
DONE = Finished(summary="Done")


async def with_dataset(house: House) -> House:
    dataset = DatasetRegistered(
        dataset_id="d",
        name="d",
        uri="/d.csv",
        format="csv",
        sha256="ab" * 32,
        size_bytes=1,
        n_rows=100,
        n_columns=2,
        n_missing=0,
        columns=[],
        registered_at=datetime.now(UTC),
    )
    event = CloudEvent(source="test", type=full_type("ml.dataset.registered"), subject="d", data={})
    await house.tools.catalogue.add(Manifest(dataset=dataset, event=event))
    return house


async def test_a_model_is_remembered_as_it_is_told(tmp_path: Any) -> None:
    house = House(tmp_path, [TRAINED])
    await house.handle(noop())
    kept = json.loads(house.store.objects[RECORD])
    assert kept == house.outcomes.one("ml.model.completed").data
    assert kept["plan"] == FACTS.plan
    assert kept["environment"] == {"packages": {"numpy": "2.0"}}


async def test_a_model_is_remembered_before_anybody_hears_of_it(tmp_path: Any) -> None:
    house = House(tmp_path, [TRAINED])
    publish, known = house.outcomes.publish, []

    async def look_first(topic: str, event: CloudEvent) -> None:
        if event.name == "ml.model.completed":
            known.append(RECORD in house.store.objects)
        await publish(topic, event)

    house.outcomes.publish = look_first  # type: ignore[method-assign]
    await house.handle(noop())
    assert known == [True]


async def test_a_worker_that_died_before_it_wrote_the_record_has_it_written_at_the_next_delivery(tmp_path: Any) -> None:
    house = House(tmp_path, [TRAINED])
    put = house.store.put

    async def died(key: str, data: bytes) -> None:
        raise ConnectionError("the worker is gone")

    house.store.put = died  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await house.handle(noop())
    assert "jobs/job-1/outcome.json" in house.store.objects, "the end was decided"
    assert RECORD not in house.store.objects
    assert house.outcomes.names() == ["ml.job.started"]

    house.store.put = put  # type: ignore[method-assign]
    await house.handle(noop())
    assert json.loads(house.store.objects[RECORD]) == house.outcomes.one("ml.model.completed").data
    assert len(house.executor.tasks) == 1, "it was trained twice"


async def test_a_job_without_a_model_leaves_no_record(tmp_path: Any) -> None:
    house = House(tmp_path, [DONE])
    await house.handle(noop())
    assert not [key for key in house.store.objects if key.startswith("models/")]


async def test_a_rerun_is_given_what_was_told_of_the_model(tmp_path: Any) -> None:
    house = await with_dataset(House(tmp_path, [TRAINED], [DONE]))
    await house.handle(noop())
    await house.handle(automl(rerun_of=MODEL))
    first, again = house.executor.tasks
    assert first.inputs.recorded is None
    assert again.inputs.recorded == house.outcomes.one("ml.model.completed").data
    assert again.request["rerun_of"] == MODEL
    assert again.inputs.dataset is not None


async def test_a_request_that_makes_no_model_again_is_given_nothing(tmp_path: Any) -> None:
    house = await with_dataset(House(tmp_path, [DONE]))
    await house.handle(automl())
    (task,) = house.executor.tasks
    assert task.inputs.recorded is None


async def test_a_rerun_of_nobodys_model_fails_and_says_which(tmp_path: Any) -> None:
    house = await with_dataset(House(tmp_path))
    await house.handle(automl(rerun_of="m-9"))
    error = house.outcomes.one("ml.job.failed").data["error"]
    assert error["reason"] == "model_unknown"
    assert "there is no model m-9 here" in error["message"]
    assert house.executor.tasks == []
