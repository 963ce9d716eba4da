"""A model that is gone: its run says since when and by whom, its version leaves the registry and does not come back."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from events.outcomes import ModelCompleted
from infra.jobs import tombstones
from infra.jobs.damage import StoreDamaged
from infra.jobs.ports import Store
from infra.jobs.tombstones import Ending
from infra.tracking.files import PICTURES, address_of, key_below
from infra.tracking.runs import Runs
from infra.tracking.tracking_store import TrackingStore
from infra.tracking.versions import Versions

if TYPE_CHECKING:
    from mlflow.entities import Run

_DELETED_AT, _DELETED_BY = "deleted_at", "deleted_by"


class Removals:
    """What deletions do to one tracking store. Methods that are no coroutines block, as those of Runs do."""

    def __init__(self, store: TrackingStore, runs: Runs, versions: Versions, artifacts: Store) -> None:
        self._store = store
        self._runs = runs
        self._versions = versions
        self._artifacts = artifacts

    async def decided(self, model_id: str) -> Ending | None:
        """How a model has gone, as the artifact store knows it: perhaps before its completion is read here.

        Raises:
            StoreError: the artifact store is away.
        """
        with suppress(StoreDamaged):
            return await tombstones.ended_as(self._artifacts, model_id)
        return None

    def is_gone(self, run: "Run") -> bool:
        """Whether the model of this run is, as the tracking store knows it."""
        return _DELETED_AT in run.data.tags

    def pass_over(self, fact: ModelCompleted, run: "Run", ending: Ending) -> None:
        """A model that was gone before it came to be registered takes its number, as in a store that knew it alive.

        Else versions would have other numbers wherever the log is read again.
        """
        run_id = run.info.run_id
        self._versions.register(fact, run_id, lambda: address_of(self._store, fact, run_id))
        self.remove(fact.model_id, run, ending.deleted_at, ending.requested_by)

    def remove(self, model_id: str, run: "Run", at: datetime, requested_by: str) -> None:
        """The run stays as the record of what was trained, and is marked; of several deletions the first counts."""
        if not self.is_gone(run):
            told = {_DELETED_AT: at.astimezone(UTC).isoformat(timespec="microseconds"), _DELETED_BY: requested_by}
            self._runs.add(run, tags=told)
        self._versions.remove(model_id)
        self._runs.untag(run, "pictures")

    async def remove_pictures(self, run: "Run") -> None:
        """Those that lie in our own store; a tracking server's files are its own.

        Raises:
            StoreError: the artifact store is away.
        """
        folder = key_below(self._store.artifacts, run.info.artifact_uri)
        if folder is not None:
            await self._artifacts.delete_all(f"{folder}/{PICTURES}")

    def gone_since(self, model_id: str) -> datetime | None:
        """When the model was deleted, as the tracking store knows it."""
        run = self._runs.of_model(model_id)
        return datetime.fromisoformat(run.data.tags[_DELETED_AT]) if run is not None and self.is_gone(run) else None
