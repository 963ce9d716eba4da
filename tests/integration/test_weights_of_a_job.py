"""Weights that cannot be had end a job: at once, with a reason and the command that helps, and no handler is started.

A server on this machine stands in for download.pytorch.org.
"""

import hashlib
from pathlib import Path

import pytest
from support.house import House, open_house
from support.ports import free_port
from support.weights_host import Answer, weights_host

from events.topics import JobKind
from handlers.registry import HANDLERS, HandlerSpec
from handlers.transfer_learning import known_weights

DATA = b"tensors" * 1000
FILE = f"tiny-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"


@pytest.fixture(autouse=True)
def small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that loads nothing, and weights whose hash we can have."""
    monkeypatch.setitem(HANDLERS, JobKind.TRANSFER_LEARNING, HandlerSpec("handlers.noop:run"))
    monkeypatch.setitem(known_weights.TORCHVISION, "tiny", FILE)


async def dataset(house: House, tmp_path: Path) -> str:
    """A registered dataset."""
    file = tmp_path / "data/datasets/d.csv"
    file.parent.mkdir()
    file.write_text("gene,kind\n" + "1,a\n2,b\n" * 20)
    await house.ask("datasets.uploaded", "d", dataset_id="d", uri=str(file))
    await house.heard("ml.dataset.registered", "d")
    return "d"


async def failure(house: House, job_id: str, base_model: str) -> tuple[str, str]:
    told = {"dataset_id": "d", "target_column": "kind", "base_model": base_model}
    await house.ask("ml.transfer-learning.requested", job_id, **told)
    end = await house.ended(job_id)
    assert end.name == "ml.job.failed"
    return end.data["error"]["reason"], end.data["error"]["message"]


async def test_no_network_and_altered_bytes(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    settings = {"weights_torchvision_url": nobody, "weights_hub_url": nobody}
    async with open_house(tmp_path, "datasets", "transfer_learning", **settings) as house:
        await dataset(house, tmp_path)
        reason, message = await failure(house, "j1", "resnet50")
        assert reason == "weights_missing"
        assert "omniscope-ml weights prefetch resnet50" in message
        assert (await failure(house, "j2", "timm:resnet50.a1_in1k"))[0] == "weights_missing"
        assert (await failure(house, "j3", "resnet-50"))[0] == "invalid_field"

        file = house.settings.weights_dir / "torchvision" / FILE
        file.write_bytes(DATA[:-1] + b"z")
        reason, message = await failure(house, "j4", "tiny")
        assert reason == "weights_refused"
        assert str(file) in message


async def test_weights_come_over_the_network_and_are_there_for_the_next_job(tmp_path: Path) -> None:
    with weights_host() as host:
        host.files[f"/models/{FILE}"] = Answer(DATA)
        settings = {"weights_torchvision_url": f"{host.url}/models"}
        async with open_house(tmp_path, "datasets", "transfer_learning", **settings) as house:
            await dataset(house, tmp_path)
            for job_id in ("j1", "j2"):
                # The handler in its process knows nothing of such a request; that it was called is all we want.
                reason, _ = await failure(house, job_id, "tiny")
                assert reason == "handler_error"
            assert host.asked == [f"/models/{FILE}"]
            assert (house.settings.weights_dir / "torchvision" / FILE).read_bytes() == DATA
