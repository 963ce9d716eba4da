"""A dead letter: a record that is no job, kept byte for byte, with the reason in headers beside it.

The value, the key and the headers of the record are those of the original; what was learned about it
stands in headers that begin with `dead-letter-`. So nothing is lost by encoding and any client can read it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "dead-letter-"
_LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where the record stood, what it was, and why it was put aside. `timestamp_ms` is the broker's."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    reason: str
    message: str

    def to_record(self) -> tuple[bytes, bytes | None, list[tuple[str, bytes | None]]]:
        """(key, value, headers) to publish. A record without a key gets an empty one, and a header that says so."""
        told = {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": self.timestamp_ms,
            "has-key": int(self.key is not None),
            "reason": self.reason,
            "message": self.message[:_LONGEST_MESSAGE],
        }
        return (
            self.key or b"",
            self.value,
            [*self.headers, *((PREFIX + name, str(value).encode()) for name, value in told.items())],
        )

    @classmethod
    def from_record(
        cls, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
    ) -> "DeadLetter":
        """The inverse of `to_record`.

        Raises:
            ValueError: the record carries no dead-letter headers.
        """
        headers = tuple(headers)
        # A dead letter of a dead letter carries both sets; the last one is ours.
        told = {name: (raw or b"").decode(errors="replace") for name, raw in headers if name.startswith(PREFIX)}
        missing = [n for n in ("topic", "partition", "offset", "reason") if PREFIX + n not in told]
        if missing:
            raise ValueError(f"no dead letter: header {PREFIX}{missing[0]} is missing")
        own = len(told)
        return cls(
            topic=told[PREFIX + "topic"],
            partition=int(told[PREFIX + "partition"]),
            offset=int(told[PREFIX + "offset"]),
            timestamp_ms=int(told.get(PREFIX + "timestamp", "-1")),
            key=key if told.get(PREFIX + "has-key", "1") == "1" else None,
            value=value,
            headers=headers[: len(headers) - own],
            reason=told[PREFIX + "reason"],
            message=told.get(PREFIX + "message", ""),
        )
