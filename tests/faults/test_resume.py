"""kill -9 of a worker in epoch 7 of 20: the next attempt goes on from there and ends with the very same numbers."""

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.services import Services, running_services

from events.envelope import CloudEvent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EPOCHS = 20
KILLED_IN = 7
#: A busy machine may hear of epochs late; what is killed must be far from its end all the same.
LATEST = 14
#: Large enough that an epoch is longer than the shortest time between two words that are heard.
ROWS, FEATURES = 600, 300
ASKED = {"target_column": "kind", "architecture": "cnn_1d", "epochs": EPOCHS, "batch_size": 16, "seed": 11}
WORK = ("agent", "deep_learning", "datasets")


def table() -> pd.DataFrame:
    """Three kinds that a network tells apart better with every epoch, from signals with much noise."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, ROWS)
    places = np.arange(FEATURES)
    signals = np.sin(places / 7 + kinds[:, None] * 2.0 + rng.normal(0, 0.6, (ROWS, 1)))
    values = signals + rng.normal(0, 1.5, (ROWS, FEATURES))
    names = [f"gene{place}" for place in places]
    return pd.DataFrame(values.round(3), columns=names).assign(kind=np.array(["a", "b", "c"])[kinds])


async def registered(services: Services) -> str:
    """The id of the dataset, looked into and ready."""
    path = services.settings.data_dir / "datasets" / "signals.parquet"
    path.parent.mkdir(exist_ok=True)
    table().to_parquet(path)
    await services.house.ask("datasets.uploaded", "signals", dataset_id="signals", uri=str(path))
    await services.house.heard("ml.dataset.registered", "signals")
    return "signals"


def epoch_of(event: CloudEvent, job: str, attempt: int) -> int:
    """Which epoch a word of this attempt tells of; 0 if it is none, or tells of none."""
    if (event.name, event.subject) != ("ml.job.progressed", job) or event.data["attempt"] != attempt:
        return 0
    found = re.search(rf"epoch (\d+)/{EPOCHS}\b", event.data["message"])
    return int(found[1]) if found else 0


def numbers(services: Services, job: str) -> dict[str, Any]:
    """All that two trainings of the same request must have in common, the bytes of the weights among it."""
    (made,) = [e.data for e in services.house.events if e.name == "ml.model.completed" and e.data["job_id"] == job]
    named = ("metrics", "intervals", "validation_score", "baseline", "split_id", "hyperparameters", "plan", "warnings")
    weights = {path: sha256 for path, sha256 in made["files"].items() if path.endswith(".safetensors")}
    assert weights, sorted(made["files"])
    assert made["plan"]["history"], "nothing is told of the epochs"
    return {**{name: made[name] for name in named}, "weights": weights}


async def test_the_second_attempt_ends_with_the_numbers_of_an_undisturbed_run(tmp_path: Path) -> None:
    async with running_services(tmp_path) as services:
        house = services.house
        await services.start("agent", *WORK)
        dataset_id = await registered(services)
        await house.ask("ml.deep-learning.requested", "undisturbed", dataset_id=dataset_id, **ASKED)
        end = await house.ended("undisturbed")
        assert (end.name, end.data["attempt"]) == ("ml.job.completed", 1), end.data

        await house.ask("ml.deep-learning.requested", "victim", dataset_id=dataset_id, **ASKED)
        # The word about epoch 6 comes when it is over: it is killed in the middle of the seventh.
        last = await house.first(lambda event: epoch_of(event, "victim", 1) >= KILLED_IN - 1)
        assert epoch_of(last, "victim", 1) <= LATEST, "a word came too late"
        checkpoint = services.settings.data_dir / "artifacts" / "jobs" / "victim" / "checkpoints" / "latest.json"
        assert checkpoint.exists(), "epochs are so short that none was kept"
        await services.stop("agent", signal.SIGKILL)
        assert not any(event.subject == "victim" and event.name == "ml.job.completed" for event in house.events)

        await services.start("agent", *WORK)
        end = await house.ended("victim")
        assert (end.name, end.data["attempt"]) == ("ml.job.completed", 2), end.data
        resumed = [epoch for event in house.events if (epoch := epoch_of(event, "victim", 2))]
        assert resumed, "the second attempt told nothing"
        assert resumed[0] > 1, "it began anew"
        assert numbers(services, "victim") == numbers(services, "undisturbed")
