"""Where the registrar stands in the log. It is kept in MLflow itself, beside what was made of the log.

So a tracking store that was dropped is filled again from the beginning, and one restored from a backup goes on from
where it was. A place is written after what it speaks of: what is read twice changes nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from infra.tracking.experiments import ensure_experiment
from infra.tracking.tracking_store import TrackingStore
from infra.tracking.writing import Moved

Partition = tuple[str, int]


class PlaceLost(Moved):
    """The store does not know the place that was kept in it: it is not the one it was."""


EXPERIMENT = "omniscope-ml"
_FOLDER = "_registrar"
_TAG = "place"
#: What MLflow says of an experiment that is not there, or that somebody has deleted.
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
#: Partitions in one tag, whose value MLflow bounds.
_BLOCK = 200


class Places:
    """The next offset of each partition, in tags of an experiment. Blocks."""

    def __init__(self, store: TrackingStore, epoch: str) -> None:
        self._store = store
        self._epoch = epoch
        self._experiment = ensure_experiment(store, EXPERIMENT, _FOLDER)
        self._written: dict[str, str] = {}

    def load(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where to go on; a partition that is new, and all of another life of the log, begin at 0."""
        tags = self._store.client.get_experiment(self._experiment).tags
        return {(topic, number): self._of(tags, topic, number) for topic, number in partitions}

    def save(self, places: Mapping[Partition, int]) -> None:
        """Writes down the places, of all partitions that are read.

        Raises:
            PlaceLost: begin again, by loading.
        """
        blocks: dict[str, dict[str, int]] = defaultdict(dict)
        for (topic, number), next_ in sorted(places.items()):
            blocks[_tag(topic, number)][str(number)] = next_
        for tag, told in blocks.items():
            value = json.dumps({"epoch": self._epoch, "next": told})
            if self._written.get(tag) != value:
                self._set(tag, value)
                self._written[tag] = value

    def probe(self) -> None:
        """Writes something, to learn whether the store takes anything at all.

        Raises:
            PlaceLost: it does, but it is another one.
        """
        self._set("probe", self._epoch)

    def _set(self, tag: str, value: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._store.client.set_experiment_tag(self._experiment, tag, value)
        except MlflowException as error:
            if error.error_code in _GONE:
                raise PlaceLost from error
            raise

    def _of(self, tags: Mapping[str, str], topic: str, number: int) -> int:
        told = json.loads(tags.get(_tag(topic, number), "{}"))
        return int(told["next"].get(str(number), 0)) if told.get("epoch") == self._epoch else 0


def _tag(topic: str, number: int) -> str:
    return f"{_TAG} {topic} {number // _BLOCK}"
