"""What a job borrows: it lies in the attempt's own folder, verified, before the handler starts."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.fakes import MemoryStore, WeightsOnDisk
from support.lives import House, transfer

from events.envelope import CloudEvent
from events.errors import OmniScopeError, ReasonCode
from events.outcomes import DatasetRegistered
from events.requests import NoopRequested
from handlers.contract import BaseWeights, Inputs, ModelFiles
from handlers.transfer_learning.base_models import BaseModel, parse
from infra.execution.messages import Finished, Task
from infra.execution.wire import _TASK
from infra.jobs.borrowing import borrowed_model, borrowed_weights
from infra.jobs.catalogue import Manifest
from infra.jobs.loans import Loans, loans_of
from infra.jobs.ports import Fetching, StoreError
from infra.storage.store import ObjectStore

DONE = Finished(summary="Done")


@pytest.fixture(autouse=True)
def nobody_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.jobs.claims.LAST_GIVE_BACK_S", 0.0)


class Attic(House):
    """A house with a dataset `d` and, in its store, one finished model `m1`."""

    def __init__(self, tmp_path: Path, *scripts: list[Any]) -> None:
        super().__init__(tmp_path, *scripts)
        dataset = DatasetRegistered(
            dataset_id="d",
            name="d.csv",
            uri="/d.csv",
            format="csv",
            sha256="0" * 64,
            size_bytes=1,
            n_rows=1,
            n_columns=1,
            n_missing=0,
            columns=[],
            registered_at=datetime.now(UTC),
        )
        event = CloudEvent(source="test", type="t", subject="d", data={})
        manifest = Manifest(dataset=dataset, event=event)
        self.store.objects["datasets/d/manifest.json"] = manifest.model_dump_json().encode()
        self.store.objects["models/m1/attempt-1/MLmodel"] = b"a model"
        facts = {"artifacts_path": "models/m1/attempt-1", "files": {"MLmodel": "f" * 64}, "architecture": "cnn_1d"}
        self.store.objects["models/m1/record.json"] = json.dumps(facts).encode()

    @property
    def failure(self) -> dict[str, Any]:
        error: dict[str, Any] = self.outcomes.one("ml.job.failed").data["error"]
        return error


class FarAway(WeightsOnDisk):
    """Weights that arrive when the house has told of their being fetched."""

    def __init__(self, folder: Path, house: House) -> None:
        super().__init__(folder)
        self._house = house

    async def fetch(self, base: BaseModel, tell: Fetching) -> BaseWeights:
        tell(0, None)
        await self._house.said("Fetching resnet50")
        tell(3_000_000, 98_000_000)
        await self._house.said("Fetching resnet50 (3 of 98 MB)")
        return await super().fetch(base, lambda _so_far, _total: None)


async def test_weights_lie_in_the_attempts_folder_and_the_job_says_that_it_fetches(tmp_path: Path) -> None:
    house = Attic(tmp_path, [DONE])
    house.tools = replace(house.tools, weights=FarAway(tmp_path, house))
    await house.handle(transfer(base_model="resnet50"))
    weights = house.executor.tasks[0].inputs.weights
    assert weights is not None
    assert (weights.name, weights.origin) == ("torchvision:resnet50", "cached")
    assert weights.path == tmp_path / "work/job-3/1/weights/weights-in-the-cache.pth"
    assert not (tmp_path / "work/job-3").exists()


@pytest.mark.parametrize("name", ["resnet50", "timm:resnet50.a1_in1k", "hf:org/name"])
async def test_random_weights_fetch_nothing(tmp_path: Path, name: str) -> None:
    house = Attic(tmp_path, [DONE])
    await house.handle(transfer(base_model=name, weights="random"))
    assert house.executor.tasks[0].inputs.weights is None
    assert house.tools.weights.asked == []  # type: ignore[attr-defined]


async def test_weights_that_are_missing_end_the_job_at_once_with_the_command(tmp_path: Path) -> None:
    house = Attic(tmp_path)
    why = OmniScopeError(ReasonCode.WEIGHTS_MISSING, "not here: omniscope-ml weights prefetch resnet50")
    house.tools.weights.fails = why  # type: ignore[attr-defined]
    await house.handle(transfer(base_model="resnet50"))
    assert house.failure == {"reason": "weights_missing", "message": why.message}
    assert house.tools.weights.asked == ["torchvision:resnet50"]  # type: ignore[attr-defined]
    assert house.executor.tasks == []


async def test_a_misspelt_name_ends_the_job_before_it_is_started(tmp_path: Path) -> None:
    house = Attic(tmp_path)
    await house.handle(transfer(base_model="resnet5O", dataset_id="never-uploaded"))
    assert house.failure["reason"] == "invalid_field"
    assert "base_model" in house.failure["message"]
    assert "(did you mean «resnet50»" in house.failure["message"]
    assert house.outcomes.names() == ["ml.job.failed"]


async def test_a_model_of_ours_comes_with_its_record(tmp_path: Path) -> None:
    house = Attic(tmp_path, [DONE])
    await house.handle(transfer(base_model="job:m1"))
    inputs = house.executor.tasks[0].inputs
    assert inputs.weights is None
    assert list(inputs.models) == ["m1"]
    assert inputs.models["m1"].path == tmp_path / "work/job-3/1/models/m1"
    assert inputs.models["m1"].facts["architecture"] == "cnn_1d"


async def test_a_model_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    house = Attic(tmp_path)
    await house.handle(transfer(base_model="job:m2"))
    assert house.failure["reason"] == "model_unknown"
    assert "m2" in house.failure["message"]


async def stored(tmp_path: Path) -> tuple[ObjectStore, dict[str, Any]]:
    """A store with a model of two files, and the record of it."""
    (tmp_path / "made/data").mkdir(parents=True)
    (tmp_path / "made/MLmodel").write_bytes(b"flavors: {}")
    (tmp_path / "made/data/weights.safetensors").write_bytes(b"tensors")
    store = ObjectStore.open(str(tmp_path / "store"))
    files = await store.upload(tmp_path / "made", "models/m1/attempt-2")
    return store, {"artifacts_path": "models/m1/attempt-2", "files": files}


async def test_every_file_of_a_model_is_verified(tmp_path: Path) -> None:
    store, facts = await stored(tmp_path)
    model = await borrowed_model(store, "m1", facts, tmp_path / "models")
    assert (model.path / "data/weights.safetensors").read_bytes() == b"tensors"
    (tmp_path / "store/models/m1/attempt-2/data/weights.safetensors").write_bytes(b"tensorz")
    with pytest.raises(OmniScopeError) as refused:
        await borrowed_model(store, "m1", facts, tmp_path / "again")
    assert refused.value.reason == ReasonCode.SHA256_MISMATCH


@pytest.mark.parametrize("lost", [{"files": {}}, {"files": {"MLmodel": ""}}, {"artifacts_path": None}, {"files": None}])
async def test_a_record_without_hashes_is_not_relied_on(tmp_path: Path, lost: dict[str, Any]) -> None:
    store, facts = await stored(tmp_path)
    with pytest.raises(OmniScopeError) as refused:
        await borrowed_model(store, "m1", facts | lost, tmp_path / "models")
    assert refused.value.reason == ReasonCode.STORE_DAMAGED


class Shelf(WeightsOnDisk):
    """Hands out whatever file it is given."""

    def __init__(self, folder: Path, found: BaseWeights) -> None:
        super().__init__(folder)
        self.found = found
        self.fails_first: list[Exception] = []

    async def fetch(self, base: BaseModel, tell: Fetching) -> BaseWeights:
        if self.fails_first:
            raise self.fails_first.pop()
        return self.found


def heard(_: str) -> None:
    """Somebody who listens."""


async def test_a_persons_file_is_copied_under_its_own_name(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"tensors")
    sha256 = hashlib.sha256(b"tensors").hexdigest()
    shelf = Shelf(tmp_path, BaseWeights("file:/x/größe.safetensors", blob, sha256, "file"))
    lent = await borrowed_weights(shelf, parse("file:/x/größe.safetensors"), tmp_path / "weights", heard)
    assert lent.path == tmp_path / "weights/größe.safetensors"
    assert not lent.path.samefile(blob)
    blob.write_bytes(b"others")
    assert lent.path.read_bytes() == b"tensors"
    with pytest.raises(OmniScopeError) as refused:  # written to between being looked at and being copied
        await borrowed_weights(shelf, parse("file:/x/größe.safetensors"), tmp_path / "weights", heard)
    assert refused.value.reason == ReasonCode.WEIGHTS_REFUSED


async def test_the_hubs_configuration_comes_along_and_a_failing_disk_is_waited_out(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/model.safetensors").write_bytes(b"tensors")
    (tmp_path / "hub/config.json").write_bytes(b"{}")
    shelf = Shelf(tmp_path, BaseWeights("hf:o/n", tmp_path / "hub/model.safetensors", "0" * 64, "cached"))
    shelf.fails_first = [StoreError("cannot keep it"), FileNotFoundError("it went")]
    lent = await borrowed_weights(shelf, parse("hf:o/n"), tmp_path / "weights", heard)
    assert sorted(path.name for path in lent.path.parent.iterdir()) == ["config.json", "model.safetensors"]


def test_what_was_borrowed_survives_the_way_to_the_jobs_process(tmp_path: Path) -> None:
    inputs = Inputs(
        weights=BaseWeights("file:/ä b.pth", tmp_path / "ä b.pth", "0" * 64, "file"),
        models={"m1": ModelFiles("m1", tmp_path / "m1", {"metrics": {"auroc": 0.9}, "warnings": ["é"], "x": None})},
    )
    task = Task("t", "m:f", "m:R", {}, inputs, tmp_path, tmp_path)
    assert _TASK.validate_json(_TASK.dump_json(task)) == task


async def test_who_builds_on_nothing_borrows_nothing() -> None:
    assert await loans_of(NoopRequested(), MemoryStore()) == (NoopRequested(), Loans())
