"""kill -9 of Apache Kafka: what runs goes on, what was asked is done, and all of it is told when it is back."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support import services as support_services
from support.apache_kafka import ApacheKafka
from support.house import ENDS
from support.ports import free_port
from support.services import Services, running_services

from infra.cli.checks import examine

#: Longer than the session of every member. `make faults` takes the minute that is promised.
LONG_S = float(os.environ.get("LONG_OUTAGE_S", "12"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@asynccontextmanager
async def house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session_s: float
) -> AsyncIterator[tuple[Services, ApacheKafka]]:
    async with ApacheKafka(tmp_path / "kafka", free_port()) as kafka:

        @asynccontextmanager
        async def own() -> AsyncIterator[str]:
            yield kafka.address

        monkeypatch.setattr(support_services, "lent_kafka", own)
        names = ("agent noop", "projector", "api")
        async with running_services(tmp_path, *names, broker="apache", session_s=session_s) as services:
            yield services, kafka


async def outage(services: Services, kafka: ApacheKafka, seconds: float) -> None:
    """A job runs into the outage and ends in it; another is asked for just before."""
    house, names = services.house, (f"running-{seconds:g}", f"just-asked-{seconds:g}")
    await house.ask("ml.noop.requested", names[0], duration_s=min(2.0, seconds / 2), steps=10)
    await house.heard("ml.job.progressed", names[0])
    await house.ask("ml.noop.requested", names[1])
    await kafka.kill()
    told = await services.get(f"/api/ml/jobs/{names[0]}/status", lambda job: job)
    assert told["status"] in ("pending", "running"), "the API reads without a broker"
    (finding,) = [found for found in await examine(services.settings) if found.name == "broker"]
    assert "KAFKA_BOOTSTRAP_SERVERS" in (finding.remedy or "")
    await asyncio.sleep(seconds)  # the outage itself: there is nothing to await
    assert all(process.returncode is None for process in services.processes.values()), "somebody gave up"
    await kafka.start()
    for job_id in names:
        assert (await house.ended(job_id)).name == "ml.job.completed"
        await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")


def each_ended_once(services: Services) -> None:
    """By event: what was told twice is the same event, and readers drop it."""
    told = services.house.events
    ends = {(event.subject, event.id) for event in told if event.name in ENDS}
    assert max(Counter(subject for subject, _ in ends).values()) == 1
    attempts = {event.data["attempt"] for event in told if event.name == "ml.job.started"}
    assert attempts == {1}, "an outage is nobody's death"


async def test_a_killed_broker_costs_nothing_but_the_time_that_it_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, monkeypatch, session_s=10) as (services, kafka):
        await outage(services, kafka, 3)
        await outage(services, kafka, LONG_S)
        each_ended_once(services)
