"""Events that came before what they are about: kept, tried again, and given up when their time is over."""

import time
from collections.abc import Mapping

from events.topics import Topic
from infra.tracking.place import Partition
from schemas.projection import Record

#: How much further the log must have been read, in seconds of its own time, before something counts as never told.
#: A person may promote what is just being finished; a word of a job follows its start at once.
PROMOTION_S = 60.0
WORD_S = 5.0

_BETWEEN_TRIES_S = 0.25


class Waiting:
    """The records that wait. They hold back the place in the log that is written down, and nothing else."""

    def __init__(self) -> None:
        self._since_ms: dict[tuple[Partition, int], int] = {}
        self._records: list[Record] = []
        self._tried_at = 0.0

    def add(self, record: Record) -> None:
        self._records.append(record)
        self._since_ms[_id(record)] = int(time.time() * 1000)

    def due(self) -> list[Record]:
        """What is to be tried again now; it waits no longer until it is put back."""
        if not self._records or time.monotonic() - self._tried_at < _BETWEEN_TRIES_S:
            return []
        records, self._records = self._records, []
        return records

    def put_back(self, tried: list[Record], still: list[Record], horizon_ms: int) -> list[Record]:
        """Those of the `tried` that are `still` not ready wait on; returned are those whose time is over."""
        if tried:
            self._tried_at = time.monotonic()
        for record in tried:
            if record not in still:
                del self._since_ms[_id(record)]
        over = [record for record in still if self._is_over(record, horizon_ms)]
        self._records += [record for record in still if record not in over]
        for record in over:
            del self._since_ms[_id(record)]
        return over

    def before(self, places: Mapping[Partition, int]) -> dict[Partition, int]:
        """The places as they are without what waits: a reader that begins there reads it again."""
        found = dict(places)
        for record in self._records:
            partition = record.place.topic, record.place.partition
            found[partition] = min(found[partition], record.place.offset)
        return found

    def _is_over(self, record: Record, horizon_ms: int) -> bool:
        # A clock that runs ahead must not make a record wait for the day that it means.
        begun = min(record.place.timestamp_ms, self._since_ms[_id(record)])
        patience = PROMOTION_S if record.place.topic == Topic.MODEL_PROMOTION else WORD_S
        return horizon_ms >= begun + patience * 1000


def _id(record: Record) -> tuple[Partition, int]:
    return (record.place.topic, record.place.partition), record.place.offset
