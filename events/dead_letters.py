"""A dead letter: a record that is no job, kept byte for byte, with the reason in headers beside it.

The value, the key and the headers of the record are those of the original; what was learned about it
stands in headers that begin with `dead-letter-`. So nothing is lost by encoding and any client can read it.

A letter that was sent back to its topic gets a second record here, without the value: the mark that says when, by
whom and where it stands now. The record that was sent back names its letter in the header `redriven-from`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

PREFIX = "dead-letter-"
REDRIVEN_FROM = "redriven-from"
"""Header of a record that was sent back. It is no CloudEvents attribute, and none of a dead letter's own headers."""

_LONGEST_MESSAGE = 2000
#: The first of a letter's own headers: whatever stands before the last of them came with the original.
_FIRST = f"{PREFIX}topic"

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Redriven:
    """The original was sent back to its topic, where it stands at `partition` and `offset`. `at_ms` is since 1970."""

    at_ms: int
    by: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where the record stood, what it was, and why it was put aside. `timestamp_ms` is the broker's.

    `cut`: key, value and headers are not the whole original, which is larger than a dead letter may be.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    reason: str
    message: str
    cut: bool = False
    redriven: Redriven | None = None

    @property
    def place(self) -> str:
        """Where the original stands, as one word: `topic:partition:offset`. Unique within the life of the log."""
        return f"{self.topic}:{self.partition}:{self.offset}"

    def redriven_as(self, redriven: Redriven) -> "DeadLetter":
        """The mark for this letter: all that identifies it, and nothing that stands in the letter already."""
        return replace(self, value=None, headers=(), redriven=redriven)

    def original(self) -> tuple[bytes | None, bytes | None, list[Header]]:
        """(key, value, headers) to send back: the original's, and one header more that names this letter."""
        return self.key, self.value, [*self.headers, (REDRIVEN_FROM, self.place.encode())]

    def to_record(self) -> tuple[bytes, bytes | None, list[Header]]:
        """(key, value, headers) to publish. A record without a key gets an empty one, and a header that says so."""
        told: dict[str, object] = {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": self.timestamp_ms,
            "has-key": int(self.key is not None),
            "reason": self.reason,
            "message": self.message[:_LONGEST_MESSAGE],
        }
        if self.cut:
            told["cut"] = 1
        if self.redriven is not None:
            told |= {
                "redriven-at": self.redriven.at_ms,
                "redriven-by": self.redriven.by,
                "redriven-partition": self.redriven.partition,
                "redriven-offset": self.redriven.offset,
            }
        return (
            self.key or b"",
            self.value,
            [*self.headers, *((PREFIX + name, str(value).encode()) for name, value in told.items())],
        )

    @classmethod
    def from_record(cls, key: bytes | None, value: bytes | None, headers: Iterable[Header]) -> "DeadLetter":
        """The inverse of `to_record`.

        Raises:
            ValueError: the record carries no dead-letter headers.
        """
        headers = tuple(headers)
        # A dead letter of a dead letter carries both sets, perhaps with other names; the last one is ours.
        begins = max((number for number, (name, _) in enumerate(headers) if name == _FIRST), default=len(headers))
        told = {name: (raw or b"").decode(errors="replace") for name, raw in headers[begins:]}
        missing = [n for n in ("topic", "partition", "offset", "reason") if PREFIX + n not in told]
        if missing:
            raise ValueError(f"no dead letter: header {PREFIX}{missing[0]} is missing")
        return cls(
            topic=told[PREFIX + "topic"],
            partition=int(told[PREFIX + "partition"]),
            offset=int(told[PREFIX + "offset"]),
            timestamp_ms=int(told.get(PREFIX + "timestamp", "-1")),
            key=key if told.get(PREFIX + "has-key", "1") == "1" else None,
            value=value,
            headers=headers[:begins],
            reason=told[PREFIX + "reason"],
            message=told.get(PREFIX + "message", ""),
            cut=told.get(PREFIX + "cut") == "1",
            redriven=_redriven(told),
        )


def _redriven(told: dict[str, str]) -> Redriven | None:
    if PREFIX + "redriven-at" not in told:
        return None
    return Redriven(
        at_ms=int(told[PREFIX + "redriven-at"]),
        by=told.get(PREFIX + "redriven-by", ""),
        partition=int(told.get(PREFIX + "redriven-partition", "-1")),
        offset=int(told.get(PREFIX + "redriven-offset", "-1")),
    )
