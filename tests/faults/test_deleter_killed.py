"""A worker that dies while it removes a model: the next one goes on, and the model has one end."""

import asyncio
from pathlib import Path

import pytest
from support.broker import Broker
from support.deleting import finished, left_in
from support.dying_deleter import EXIT_CODE
from support.fakes import RecordedOutcomes
from support.services import running_services

from events.topics import JobKind
from infra.storage.store import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_a_deletion_is_finished_by_the_next_worker(tmp_path: Path, both_brokers: Broker) -> None:
    async with running_services(tmp_path, "projector", "api", broker=both_brokers) as services:
        house, settings = services.house, services.settings
        store, outcomes = ObjectStore.open(settings.artifacts), RecordedOutcomes()
        for point in ("marked", "decided", "removed"):
            part = await finished(store, outcomes, f"part-{point}")
            whole = await finished(store, outcomes, f"whole-{point}", JobKind.ENSEMBLE, part)
            dying = await services.start("agent", "agent", "noop", module="support.dying_deleter", DIE_AT=point)
            asked = await house.ask("ml.model-deletion.requested", part, cascade=True, requested_by="ada")
            assert await dying.wait() == EXIT_CODE
            services.processes.pop("agent")
            assert not any(event.name == "ml.model.deleted" and event.subject == part for event in house.events)

            await services.start("agent", "agent", "noop")
            told = await house.heard("ml.model.deleted", part)
            assert told.data == {"model_id": part, "requested_by": "ada", "with_models": [whole]}
            assert told.time >= asked.time
            for model_id in (part, whole):
                assert await left_in(settings, model_id) == ["tombstones"]
                while (await services.get(f"/api/ml/models/{model_id}/results"))["status"] != 410:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # the projector is on its way
            await services.stop("agent")
        assert len({e.id for e in house.events if e.name == "ml.model.deleted"}) == 3
        assert house.letters == []
