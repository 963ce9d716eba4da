"""Many partitions read as one, in the order of their time: as far as that can be known without waiting long.

Runs and versions are made in the order in which things happened, so that a second reading of the log makes the same.
"""

import heapq
import time
from collections import deque
from collections.abc import Collection, Iterable

from schemas.projection import Record

Partition = tuple[str, int]

#: Records held of one partition: enough to be compared, few enough to be no matter of memory.
ENOUGH = 100


class TimeOrder:
    """Holds records back until no earlier one can come.

    Args:
        topics: of equal times, those of the earlier topic come first.
        partitions: all that are read.
    """

    def __init__(self, topics: tuple[str, ...], partitions: Iterable[Partition]) -> None:
        self._rank = {topic: rank for rank, topic in enumerate(topics)}
        self._held: dict[Partition, deque[Record]] = {partition: deque() for partition in partitions}

    @property
    def partitions(self) -> Collection[Partition]:
        return self._held.keys()

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self._held[record.place.topic, record.place.partition].append(record)

    def hungry(self) -> list[Partition]:
        """Partitions of which more may be read."""
        return [partition for partition, held in self._held.items() if len(held) < ENOUGH]

    def holds(self) -> bool:
        return any(self._held.values())

    def release(self, drained: Collection[Partition], most: int = ENOUGH) -> list[Record]:
        """The next ones, in order. A partition holds the others back until it shows a record or its end."""
        heads = [(self._key(held[0]), partition) for partition, held in self._held.items() if held]
        heapq.heapify(heads)
        unknown = {partition for partition, held in self._held.items() if not held} - {*drained}
        released: list[Record] = []
        while heads and not unknown and len(released) < most:
            _, partition = heapq.heappop(heads)
            held = self._held[partition]
            released.append(held.popleft())
            if held:
                heapq.heappush(heads, (self._key(held[0]), partition))
            elif partition not in drained:
                unknown.add(partition)
        return released

    def horizon_ms(self, drained: Collection[Partition]) -> int:
        """The log has been read up to this time: nothing earlier is still to come, by the clocks of its writers."""
        now = int(time.time() * 1000)
        told = (held[0].place.timestamp_ms if held else now * (partition in drained)
                for partition, held in self._held.items())  # fmt: skip
        return min(told, default=now)

    def _key(self, record: Record) -> tuple[int, int, str, int]:
        place = record.place
        return place.timestamp_ms, self._rank[place.topic], place.topic, place.partition
