"""Experiments: one for each dataset, made before its first run, with a place for files that is ours."""

from typing import TYPE_CHECKING, Any

import structlog

from infra.tracking.names import PREFIX, experiment_name
from infra.tracking.tracking_store import TrackingStore

if TYPE_CHECKING:
    from mlflow.entities import Experiment

log = structlog.get_logger(__name__)

#: Below ARTIFACTS_URI: where files of runs go. Models lie elsewhere, and are not copied.
FILES = "mlflow"


class Experiments:
    """Ids of experiments by folder (see `names.folder`), remembered."""

    def __init__(self, store: TrackingStore) -> None:
        self._store = store
        self._known: dict[str, str] = {}

    def id_of(self, folder: str) -> str:
        """The experiment, made if it is not there: a run would else go to «Default», with the others' artifacts."""
        if folder not in self._known:
            self._known[folder] = ensure_experiment(self._store, experiment_name(folder), folder)
        return self._known[folder]

    def all_ids(self) -> list[str]:
        """Every experiment of ours, also those that another process has made."""
        found: list[str] = []
        page: Any = None
        while page is None or page.token:
            page = self._store.client.search_experiments(
                filter_string=f"name LIKE '{PREFIX}%'", page_token=page.token if page else None
            )
            found += [experiment.experiment_id for experiment in page]
        return found

    def forget(self) -> None:
        self._known.clear()


def ensure_experiment(store: TrackingStore, name: str, folder: str) -> str:
    """The id of the experiment called `name`; one that a person has deleted is brought back."""
    found: Experiment | None = store.client.get_experiment_by_name(name)
    if found is None:
        # A server keeps files where it likes: a directory of this machine means nothing to it.
        place = f"{store.artifacts}/{FILES}/{folder}" if store.takes_our_artifacts else None
        created: str = store.client.create_experiment(name, artifact_location=place)
        return created
    if found.lifecycle_stage == "deleted":
        log.warning("experiment_restored", name=name)
        store.client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
