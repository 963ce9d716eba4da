"""Services that are asked to stop while the broker is away stop, in order and in time."""

import asyncio
import signal
from pathlib import Path

import pytest
from soak.plan import Plan
from soak.stage import set_up
from support.apache_kafka import require_kafka

from events.publisher import Publisher
from events.requests import NoopRequested

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_without_a_broker_worker_and_projector_stop_in_order(tmp_path: Path) -> None:
    require_kafka()
    plan = Plan(jobs=0, seed=0, traffic_s=0, faults={}, long_outage_s=0, workers=1)
    async with set_up(tmp_path, plan) as stage:
        (worker,) = stage.workers
        async with Publisher(stage.settings.bootstrap_servers, source="test") as publisher:
            await publisher.request(NoopRequested(job_id="talkative", duration_s=600, steps=6000))
        while not stage.ledger.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await stage.kafka.kill()
        # What a client says of a broker that is away is all there is to wait for.
        log = tmp_path / "logs" / "worker-0.log"
        while "coordinator dead" not in log.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        async with asyncio.timeout(120):
            for seat in (worker, stage.projector):
                await seat.gone(seat.end(signal.SIGTERM, next_after_s=1000))
    assert {(end.seat, end.code) for end in stage.diary.ends} == {("worker-0", 0), ("projector", 0), ("api", 0)}
