"""A real MLflow store for a test, and everything that it says."""

import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from infra.storage.store import ObjectStore
from infra.tracking.place import Places
from infra.tracking.recorder import Recorder
from infra.tracking.tracking_store import TrackingStore, open_tracking_store
from infra.tracking.writing import Writer
from schemas.projection import Record

from .fakes import RecordedOutcomes

#: What differs from one store to the next that was told the same.
_OF_THE_STORE = {"told_in"}


def blank_database(factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, made once in a test session: it takes MLflow six seconds."""
    path = factory.getbasetemp() / "blank-mlflow" / "mlflow.db"
    if not path.exists():
        open_tracking_store(Settings(data_dir=path.parent))
    return path


def fresh_store(blank: Path, settings: Settings) -> TrackingStore:
    """A store of this test's own, where the settings say."""
    settings.make_data_dir()
    shutil.copy(blank, settings.data_dir / "mlflow.db")
    return open_tracking_store(settings)


class Recording:
    """A recorder on a store, without a broker: it is told records, and what it told is kept."""

    def __init__(self, store: TrackingStore, settings: Settings, epoch: str = "epoch-1") -> None:
        self.store = store
        self.outcomes = RecordedOutcomes()
        self.writer = Writer(session_s=3600, patience_s=0)
        self.writer.begin_term()
        self._recorder = Recorder(
            store, epoch, Places(store, epoch), self.writer, self.outcomes, ObjectStore.open(settings.artifacts)
        )

    async def tell(self, records: Iterable[Record]) -> list[Record]:
        """Each record by itself; those that wait."""
        return [left for record in list(records) for left in await self._recorder.record([record])]

    async def tell_at_once(self, records: Iterable[Record]) -> list[Record]:
        return await self._recorder.record(list(records))


@asynccontextmanager
async def recording(store: TrackingStore, settings: Settings, epoch: str = "epoch-1") -> AsyncIterator[Recording]:
    opened = Recording(store, settings, epoch)
    try:
        yield opened
    finally:
        await opened.writer.close()


def runs_by_job(store: TrackingStore) -> dict[str, Any]:
    """Job id → its run; two runs of one job are an error."""
    ours = [e.experiment_id for e in store.client.search_experiments() if e.name.startswith("omniscope-ml/")]
    runs = store.client.search_runs(ours) if ours else []
    found = {run.data.tags["job_id"]: run for run in runs}
    assert len(found) == len(runs), "a job has two runs"
    return found


def all_of(store: TrackingStore) -> dict[str, Any]:
    """Everything the store says, in terms that a second store has, too."""
    runs, names = runs_by_job(store), {run.info.run_id: job for job, run in runs_by_job(store).items()}
    return {
        "runs": {job: _run(store, run) for job, run in runs.items()},
        "versions": {
            (version.name, int(version.version)): (
                names[version.run_id],
                version.source,
                {name: value for name, value in version.tags.items() if name not in _OF_THE_STORE},
            )
            for version in store.client.search_model_versions()
        },
        "aliases": {
            model.name: {alias: int(version) for alias, version in model.aliases.items()}
            for model in store.client.search_registered_models()
        },
    }  # fmt: skip


def _run(store: TrackingStore, run: Any) -> dict[str, Any]:
    history = {
        name: [(m.step, m.timestamp, m.value) for m in store.client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    about = run.info
    return {
        "experiment": store.client.get_experiment(about.experiment_id).name,
        "status": about.status,
        "times": (about.start_time, about.end_time),
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {name: sorted(points) for name, points in history.items()},
    }
