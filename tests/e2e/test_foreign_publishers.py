"""Publishers and subscribers that use none of our code: kafkajs from npm, and bare aiokafka.

Each publisher sends one structured and one binary CloudEvent; the jobs complete, the read API tells of them, and a
bare consumer sees the models.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sklearn.datasets import load_breast_cancer
from support.parts import missing
from support.up import Up, running_up

pytestmark = [pytest.mark.timeout(420), pytest.mark.slow]

HERE = Path(__file__).parent / "foreign"
TOPIC = "omniscope.ml.automl.requested"


@pytest.fixture
def kafkajs(tmp_path: Path) -> Path:
    """The folder with publish.js and its one dependency, installed as a Node developer would."""
    if shutil.which("npm") is None:
        missing("Node.js with npm is not installed, so the kafkajs publisher cannot be tried", "`make system`")
    folder = tmp_path / "foreign"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, timeout=120)
    return folder


async def by_kafkajs(folder: Path, broker: str, mode: str, job_id: str) -> None:
    node = await asyncio.create_subprocess_exec(
        "node", "publish.js", broker, mode, job_id, "cancer", "target", cwd=folder
    )
    assert await node.wait() == 0


async def by_aiokafka(broker: str, mode: str, job_id: str) -> None:
    data = {"dataset_id": "cancer", "target_column": "target", "time_limit": 20, "quality": "medium_quality"}
    attributes = {
        "specversion": "1.0",
        "id": f"bare-{job_id}",
        "source": "bare-aiokafka",
        "type": "ai.omniscope.ml.automl.requested.v1",
        "subject": job_id,
    }
    if mode == "structured":
        headers = [("content-type", b"application/cloudevents+json")]
        body: dict[str, Any] = {**attributes, "data": data}
    else:
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        body = data
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
        await producer.send_and_wait(TOPIC, json.dumps(body).encode(), job_id.encode(), headers=headers)


async def models(broker: str) -> AsyncIterator[dict[str, Any]]:
    """What a bare consumer reads on the models' topic."""
    async with AIOKafkaConsumer(
        "omniscope.ml.models", bootstrap_servers=broker, auto_offset_reset="earliest"
    ) as consumer:
        async for record in consumer:
            yield json.loads(record.value)


async def upload(up: Up) -> None:
    table = load_breast_cancer(as_frame=True).frame
    root = Path(up.settings.roots[0])
    root.mkdir(parents=True, exist_ok=True)
    table.to_csv(root / "cancer.csv", index=False)
    event = {
        "specversion": "1.0",
        "id": "upload-1",
        "source": "bare-aiokafka",
        "type": "ai.omniscope.datasets.uploaded.v1",
        "subject": "cancer",
        "data": {"dataset_id": "cancer", "uri": str(root / "cancer.csv")},
    }
    async with AIOKafkaProducer(bootstrap_servers=up.settings.bootstrap_servers) as producer:
        await producer.send_and_wait("omniscope.datasets.uploaded", json.dumps(event).encode(), b"cancer")


async def test_events_from_other_peoples_clients_become_models(tmp_path: Path, kafkajs: Path) -> None:
    async with running_up(tmp_path) as up:
        broker = up.settings.bootstrap_servers
        await upload(up)
        await by_kafkajs(kafkajs, broker, "structured", "js-structured")
        await by_kafkajs(kafkajs, broker, "binary", "js-binary")
        await by_aiokafka(broker, "structured", "py-structured")
        await by_aiokafka(broker, "binary", "py-binary")
        jobs = {"js-structured", "js-binary", "py-structured", "py-binary"}
        for job in jobs:
            status = await up.get(f"/api/ml/jobs/{job}/status", lambda s: s["status"] in ("completed", "failed"))
            assert status["status"] == "completed", status["error"]
            results = await up.get(f"/api/ml/models/{status['model_id']}/results", lambda r: "metrics" in r)
            assert results["metrics"]["accuracy"] > 0.85
            low, high = results["intervals"]["accuracy"]
            assert low <= results["metrics"]["accuracy"] <= high
            assert results["baseline"]["metrics"]["accuracy"] > 0.85
            assert (results["model_type"], results["dataset_id"]) == ("automl", "cancer")
        seen = set()
        async for event in models(broker):
            if event["type"] == "ai.omniscope.ml.model.completed.v1":  # that it was registered is told there, too
                seen.add(event["data"]["job_id"])
            if seen == jobs:
                break
