"""Where a record stands in the log, and how two places compare."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from events.dead_letters import DeadLetter

_LAST_MS = 253_402_300_799_999  # the end of the year 9999, the last that a datetime knows


@dataclass(frozen=True)
class Place:
    """One record's place: the life of the log (`epoch`), topic, partition, offset, and the broker's timestamp."""

    epoch: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    @cached_property
    def time(self) -> datetime:
        """The broker's timestamp in UTC; 1970 or 9999 where a producer made up one that cannot be."""
        return datetime.fromtimestamp(self._clamped_ms / 1000, UTC)

    def sort_key(self, tier: int = 0) -> str:
        """Text that sorts by tier, then by age, then by place: «the earlier one» means the same to every reader."""
        return f"{tier}/{self._by_age}"

    @cached_property
    def _by_age(self) -> str:
        return f"{self._clamped_ms:015d}/{self.topic}/{self.partition:06d}/{self.offset:019d}"

    @property
    def _clamped_ms(self) -> int:
        return min(max(self.timestamp_ms, 0), _LAST_MS)


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it was read."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def dead_letter(self, reason: str, message: str) -> DeadLetter:
        """This record, put aside."""
        place = self.place
        return DeadLetter(
            topic=place.topic,
            partition=place.partition,
            offset=place.offset,
            timestamp_ms=place.timestamp_ms,
            key=self.key,
            value=self.value,
            headers=self.headers,
            reason=reason,
            message=message,
        )
