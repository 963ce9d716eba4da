"""The life of an upload, against small fakes."""

import time
from pathlib import Path
from typing import Any

import pytest
from support.fakes import HeldLease, MemoryStore, RecordedOutcomes, ScriptedExecutor

from events.envelope import CloudEvent, full_type, headers_of
from events.errors import OmniScopeError, ReasonCode
from events.topics import Topic
from infra.execution.executor import ExecutorError
from infra.execution.messages import Crashed, Failed, Finished
from infra.jobs.catalogue import Catalogue
from infra.jobs.delivery import Delivery
from infra.jobs.intake import Intake
from infra.jobs.ports import Admitted
from infra.jobs.slots import Slots

PROFILE = Finished(
    summary="3 rows", profile={"format": "csv", "n_rows": 3, "n_columns": 1, "n_missing": 0, "columns": []}
)


class Door:
    """An admission that lets in one file, or nobody."""

    def __init__(self, sha256: str = "a" * 64, refusal: OmniScopeError | None = None) -> None:
        self.sha256 = sha256
        self.refusal = refusal

    async def admit(self, uri: str) -> Admitted:
        if self.refusal:
            raise self.refusal
        return Admitted(Path("/nowhere"), self.sha256, 12)

    async def fetch(self, uri: str, sha256: str) -> Path:
        return Path(__file__)  # nobody looks into it


class House:
    def __init__(self, tmp_path: Path, door: Door, *scripts: list[Any], store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.outcomes = RecordedOutcomes()
        self.executor = ScriptedExecutor(*scripts)
        self.intake = Intake(
            catalogue=Catalogue(self.store),
            cache=door,
            executor=self.executor,
            outcomes=self.outcomes,
            slots=Slots(1),
            work_dir=tmp_path,
        )

    async def handle(self, **data: Any) -> None:
        event = CloudEvent(
            id=str(data.pop("event_id", "1")),
            source="harbor",
            type=full_type("datasets.uploaded"),
            subject="cohort",
            data={"uri": "/data/cohort.csv", **data},
        )
        delivery = Delivery(
            "e",
            Topic.DATASETS_UPLOADED,
            0,
            0,
            int(time.time() * 1000),
            None,
            event.to_bytes(),
            tuple(headers_of(event)),
        )
        await self.intake.handle(delivery, HeldLease())


async def test_a_readable_file_is_registered_with_its_profile(tmp_path: Path) -> None:
    house = House(tmp_path, Door(), [PROFILE])
    await house.handle(name="Cohort")
    told = house.outcomes.one("ml.dataset.registered").data
    assert (told["dataset_id"], told["name"], told["n_rows"], told["sha256"]) == ("cohort", "Cohort", 3, "a" * 64)
    assert house.executor.runs[0].killed, "the process that looked into the file is left behind"


async def test_the_same_upload_again_tells_the_same_event_and_looks_into_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, Door(), [PROFILE])
    await house.handle()
    await house.handle(event_id="2")
    first, second = (event for _, event in house.outcomes.events)
    assert first == second
    assert len(house.executor.tasks) == 1


async def test_the_same_id_with_other_bytes_is_rejected(tmp_path: Path) -> None:
    house = House(tmp_path, Door(), [PROFILE])
    await house.handle()
    other = House(tmp_path, Door("b" * 64), store=house.store)
    await other.handle(event_id="2")
    assert other.outcomes.one("ml.dataset.rejected").data["error"]["reason"] == "dataset_id_reused"


@pytest.mark.parametrize(
    ("door", "script", "data", "reason"),
    [
        (Door(refusal=OmniScopeError(ReasonCode.URI_OUTSIDE_ROOTS, "outside")), [], {}, "uri_outside_roots"),
        (Door(), [], {"sha256": "b" * 64}, "sha256_mismatch"),
        (Door(), [], {"sha256": "xyz"}, "invalid_field"),
        (Door(), [], {"unknown": 1}, "unknown_field"),
        (Door(), [Failed(reason="file_empty", message="the file is empty")], {}, "file_empty"),
        (Door(), [Crashed(exit_code=-11)], {}, "file_unreadable"),
    ],
)
async def test_what_cannot_be_a_dataset_is_rejected_with_a_reason(
    tmp_path: Path, door: Door, script: list[Any], data: dict[str, Any], reason: str
) -> None:
    house = House(tmp_path, door, script)
    await house.handle(**data)
    told = house.outcomes.one("ml.dataset.rejected").data
    assert told["error"]["reason"] == reason
    assert "datasets/cohort/manifest.json" not in house.store.objects
    ids = [event.id for _, event in house.outcomes.events]
    again = House(tmp_path, door, script)
    await again.handle(**data)
    assert [event.id for _, event in again.outcomes.events] == ids, "told twice, it is two events"


async def test_a_full_disk_rejects_no_upload(tmp_path: Path) -> None:
    full = Failed(reason="handler_error", message="no space is left", infrastructure=True)
    house = House(tmp_path, Door(), [full], [PROFILE])
    with pytest.raises(ExecutorError, match="no space"):
        await house.handle()
    assert house.outcomes.events == []
    await house.handle()
    assert house.outcomes.one("ml.dataset.registered").subject == "cohort"
    assert list(tmp_path.iterdir()) == []
