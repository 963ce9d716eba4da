"""kill -9 of all processes at once, and up again: what had ended is there, what had not runs, nothing is doubled."""

import asyncio
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sklearn.datasets import load_breast_cancer
from support.services import running_services
from support.up import Up, running_up

from events.envelope import CloudEvent
from events.topics import Topic
from infra.kafka.embedded.plain_client import PlainClient
from infra.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ENDS = ("ml.job.completed", "ml.job.failed", "ml.job.cancelled")


async def kill_everything(up: Up) -> None:
    """All processes at once, as if the machine's power went: none of them learns that another has died."""
    family = [*psutil.Process(up.process.pid).children(recursive=True), psutil.Process(up.process.pid)]
    for end in (psutil.Process.suspend, psutil.Process.kill):
        for process in family:
            with suppress(psutil.NoSuchProcess):  # a job's own, which ended or died with its parent
                end(process)
    await up.process.wait()
    await asyncio.to_thread(psutil.wait_procs, family, 10)


async def told(settings: Settings, *topics: str) -> list[CloudEvent]:
    """Every event on the topics."""
    async with PlainClient(settings) as client:
        counts = await client.topics()
        places = {(topic, number): 0 for topic in topics for number in range(counts[topic])}
        ends = {TopicPartition(*place): end for place, (end, _) in (await client.fetch(places, wait_ms=1)).items()}
    events = []
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    ) as reader:
        reader.assign(list(ends))
        await reader.seek_to_beginning()
        while any([await reader.position(place) < end for place, end in ends.items()]):
            for read in (await reader.getmany(timeout_ms=200)).values():
                events += [CloudEvent.model_validate_json(one.value) for one in read]
    return events


def small_table(tmp_path: Path) -> Path:
    file = tmp_path / "cells.csv"
    load_breast_cancer(as_frame=True).frame.iloc[::6, -6:].to_csv(file, index=False)
    return file


async def test_up_after_kill_9_of_everything(tmp_path: Path) -> None:
    async with running_up(tmp_path, "--with-noop") as first:
        await first.command("dataset", "add", str(small_table(tmp_path)), "--id", "cells")
        asked = ("--dataset", "cells", "--target", "target", "--time-limit", "5", "--quality", "medium")
        await first.command("submit", "automl", *asked, "--job-id", "model")
        await first.command("submit", "noop", "--job-id", "done")
        await first.get("/api/ml/jobs/done/status", lambda job: job["status"] == "completed")
        done = await first.get("/api/ml/jobs/model/status", lambda job: job["status"] in ("completed", "failed"))
        assert done["status"] == "completed", done
        await first.command("submit", "noop", "--job-id", "cut-off", "--duration", "6")
        await first.get("/api/ml/jobs/cut-off/status", lambda job: job["status"] == "running")
        model = await first.get(f"/api/ml/models/{done['model_id']}/results")
        await kill_everything(first)

    async with running_up(tmp_path, "--with-noop") as second:
        assert (await second.get(f"/api/ml/models/{done['model_id']}/results"))["metrics"] == model["metrics"]
        again = await second.get("/api/ml/jobs/cut-off/status", lambda job: job["status"] == "completed")
        assert again["attempt"] == 2
        await second.command("submit", "noop", "--job-id", "after")
        await second.get("/api/ml/jobs/after/status", lambda job: job["status"] == "completed")
        for job_id in ("model", "done"):
            job = await second.get(f"/api/ml/jobs/{job_id}/status")
            assert (job["status"], job["attempt"]) == ("completed", 1)
        registered = await second.get(
            f"/api/ml/models/{done['model_id']}/results", lambda results: results["registered_name"]
        )
        assert registered["mlflow_run_id"]
        await nothing_doubled(second)


async def nothing_doubled(up: Up) -> None:
    events = await told(up.settings, Topic.JOBS, Topic.MODELS, Topic.DATASETS)
    ends = Counter((event.subject, event.id) for event in events if event.name in ENDS)
    assert sorted(job_id for job_id, _ in ends) == ["after", "cut-off", "done", "model"], ends
    starts = Counter(event.subject for event in events if event.name == "ml.job.started")
    assert starts == {"after": 1, "cut-off": 2, "done": 1, "model": 1}
    assert len({event.id for event in events if event.name == "ml.model.completed"}) == 1
    assert len({event.id for event in events if event.name == "ml.model.registered"}) == 1
    jobs = (await up.get("/api/ml/jobs?limit=50"))["items"]
    assert sorted(job["job_id"] for job in jobs) == ["after", "cut-off", "done", "model"]


async def test_a_house_whose_journal_is_gone_runs_what_had_not_ended(tmp_path: Path) -> None:
    async with running_services(tmp_path, "agent noop") as services:
        await services.house.ask("ml.noop.requested", "done")
        await services.house.ended("done")
        await services.house.ask("ml.noop.requested", "cut-off", duration_s=600)
        await services.house.heard("ml.job.progressed", "cut-off")
        await services.stop("agent noop", signal.SIGKILL)
        await services.stop("broker", signal.SIGKILL)
        shutil.move(services.settings.broker_journal, tmp_path / "moved-away.db")
        await services.start("broker", "broker")
        requests = await told(services.settings, Topic.NOOP)
        assert [event.subject for event in requests] == ["cut-off"]


async def test_a_request_that_was_claimed_and_then_lost_comes_again(tmp_path: Path) -> None:
    """What kill -9 can cost is made certain: the journal is put back to what it was before the request."""
    async with running_services(tmp_path, "agent noop") as services:
        house, journal = services.house, services.settings.broker_journal
        await house.ask("ml.noop.requested", "before")
        await house.ended("before")
        await services.stop("agent noop")
        await services.stop("broker")
        shutil.copy(journal, tmp_path / "earlier.db")
        await services.start("broker", "broker")
        await services.start("agent", "agent", "noop")
        await house.ask("ml.noop.requested", "told-and-lost")
        lost = await house.ended("told-and-lost")
        await house.ask("ml.noop.requested", "cut-off", duration_s=600)
        await house.heard("ml.job.progressed", "cut-off")
        await services.stop("agent", signal.SIGKILL)
        await services.stop("broker", signal.SIGKILL)
        for rest in ("-wal", "-shm"):
            Path(f"{journal}{rest}").unlink(missing_ok=True)
        shutil.copy(tmp_path / "earlier.db", journal)
        mark_as_cut_off(journal)

        await services.start("broker", "broker")
        # They may lie in two partitions.
        assert sorted(event.subject for event in await told(services.settings, Topic.NOOP)) == ["before", "cut-off"]
        events = await told(services.settings, Topic.JOBS)
        assert [event.id for event in events if event.subject == "told-and-lost"] == [lost.id]


async def test_a_broker_that_is_restarted_alone_holds_nobody_up(tmp_path: Path) -> None:
    async with running_services(tmp_path, "agent noop", "projector", "api") as services:
        house = services.house
        await house.ask("ml.noop.requested", "long", duration_s=6)
        await house.heard("ml.job.started", "long")
        await services.stop("broker")
        await services.start("broker", "broker")
        await house.ask("ml.noop.requested", "after")
        for job_id in ("after", "long"):
            assert ((await house.ended(job_id)).data["attempt"]) == 1, "it was started again"
            await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")


def mark_as_cut_off(journal: Path) -> None:
    """A copy made after a clean end says so; this one stands for what a kill leaves."""
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE state SET ended_well = 0")
    db.close()
