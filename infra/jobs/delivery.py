"""A record as the broker handed it over: where it stood and its bytes, nothing read yet."""

import time
from dataclasses import dataclass

from events.dead_letters import REDRIVEN_FROM, DeadLetter
from events.errors import OmniScopeError
from events.vocabulary import Identified, identify


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record of a request topic. `epoch` names the life of the log it came from."""

    epoch: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def identify(self) -> Identified:
        """What it is and whom it is about.

        Raises:
            InvalidEvent: it is a dead letter.
        """
        return identify(self.topic, self.key, self.value, self.headers)

    def as_dead_letter(self, why: OmniScopeError) -> DeadLetter:
        return DeadLetter(
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            timestamp_ms=self.timestamp_ms,
            key=self.key,
            value=self.value,
            headers=self.headers,
            reason=why.reason.value,
            message=why.message,
        )

    @property
    def age_s(self) -> float:
        """Seconds since it was published, by two clocks. What is dated ahead has just come, however far ahead."""
        return max(0.0, time.time() - self.timestamp_ms / 1000)

    @property
    def sent_back_from(self) -> str | None:
        """Where the dead letter stood that this record is, sent back (`topic:partition:offset`); None for any other."""
        named = [raw or b"" for name, raw in self.headers if name == REDRIVEN_FROM]
        return named[-1].decode(errors="replace") if named else None

    @property
    def place(self) -> dict[str, str | int]:
        """Where the record stands: no other record stands there."""
        return {"epoch": self.epoch, "topic": self.topic, "partition": self.partition, "offset": self.offset}
