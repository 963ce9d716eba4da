"""Random and damaged events at the request topics of a real worker: every one has an end, and the worker goes on."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.accounts import Accounts
from support.odd_events import Odd, odd_events
from support.odd_headers import send_any_header_names
from support.services import Services, running_services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: `make fuzz` sends all of what is promised; every other run of the tests sends a part.
COUNT = int(os.environ.get("FUZZ_EVENTS", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "5"))
WORKER = "agent all --with-noop"
EVERY = 100

#: What this worker carries out. The other requests are read by the registrar, or by nobody yet.
SERVED = (
    "datasets.uploaded",
    "ml.automl.requested",
    "ml.deep-learning.requested",
    "ml.transfer-learning.requested",
    "ml.ensemble.requested",
    "ml.explanation.requested",
    "ml.noop.requested",
    "ml.cancellation.requested",
)


@asynccontextmanager
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("DATASET_WAIT_S", "0")
    send_any_header_names(monkeypatch)
    async with running_services(tmp_path, WORKER, "projector", "api") as services:
        yield services


async def send(services: Services, odd: Odd) -> Any:
    # aiokafka sends no record that has neither a key nor a value.
    key = b"" if odd.key is None and odd.value is None else odd.key
    return await services.house.producer.send(
        odd.topic, odd.value, key, headers=list(odd.headers), timestamp_ms=odd.timestamp_ms
    )


async def test_every_odd_event_has_an_end_and_the_worker_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, monkeypatch) as services, Accounts(services.settings).listening() as accounts:
        worker = psutil.Process(services.processes[WORKER].pid)
        warm = warm_server(worker)
        good = await send_all(services, accounts)
        await accounts.settled(seconds=60 + COUNT / 20)
        for job_id in good:
            assert (await services.house.ended(job_id)).name == "ml.job.completed", job_id

        for job_id in accounts.kept():
            intent = services.settings.data_dir / "artifacts" / "jobs" / job_id / "cancellation.json"
            while not intent.exists():  # noqa: ASYNC110 - a file announces nothing
                await asyncio.sleep(0.1)
        assert sum(accounts.closed.values()) + len(accounts.kept()) >= COUNT
        assert warm_server(worker) == warm, "the warm server was started again"
        assert services.processes[WORKER].returncode is None
        await tables_hold(services, good, accounts)
    for name in (WORKER, "projector", "api"):
        log = (tmp_path / f"{name}.log").read_text()
        for word in ("internal_error", " ERROR "):
            assert word not in log, log[log.index(word) - 200 :][:3000]
    with capsys.disabled():
        print(f"\n\n{COUNT:,} odd events, seed {SEED}: {dict(accounts.closed)}, kept {len(accounts.kept())}")
        print(f"by reason: {dict(accounts.reasons.most_common())}")


async def send_all(services: Services, accounts: Accounts) -> list[str]:
    """All odd events, with a good job after every so many; the good ones."""
    good: list[str] = []
    receipts = []
    for number, odd in enumerate(odd_events(SEED, COUNT, SERVED)):
        receipts.append((odd, await send(services, odd)))
        if number % EVERY == EVERY - 1:
            good.append(f"good-{number}")
            await services.house.ask("ml.noop.requested", good[-1])
            for sent, receipt in receipts:
                accounts.sent(sent, await receipt)
            receipts.clear()
    for sent, receipt in receipts:
        accounts.sent(sent, await receipt)
    return good


async def tables_hold(services: Services, good: list[str], accounts: Accounts) -> None:
    """The projector has read the same stream: every end and every dead letter has its row, and the API tells of it."""
    for job_id in good:
        await services.get(f"/api/ml/jobs/{job_id}/status", lambda job: job["status"] == "completed")
    with closing(sqlite3.connect(services.settings.data_dir / "omniscope.db")) as tables:
        while accounts.letters - set(tables.execute("SELECT topic, partition, offset FROM dead_letters")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # rows announce nothing
        (open_jobs,) = tables.execute("SELECT count(*) FROM training_jobs WHERE completed_at IS NULL").fetchone()
        assert open_jobs == 0, "a job has an end on the log and none in the tables"


def warm_server(worker: psutil.Process) -> int:
    (found,) = [child.pid for child in worker.children() if "infra.execution.warm" in child.cmdline()]
    return int(found)
