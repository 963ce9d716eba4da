"""What the dead letters' topic says of each letter, without the letters themselves: enough to list and to choose."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from sys import intern

from events.dead_letters import REDRIVEN_FROM, DeadLetter, Redriven
from events.envelope import decode
from events.errors import InvalidEvent

from .filed import Filed

#: A larger value is not read for the sake of a name to show.
_LARGEST_LOOKED_INTO = 100_000


@dataclass(slots=True)
class Known:
    """One letter. `filed`: the partition and offset at which it stands on the dead letters' topic. `about`: the key,
    or the job that the record itself names. `size`: of the value as it is kept, in bytes. `came_from`: the letter
    whose original this is, where it was sent back before.
    """

    id: str
    topic: str
    partition: int
    offset: int
    reason: str
    message: str
    dead_at_ms: int
    filed: tuple[int, int]
    about: str
    size: int
    cut: bool
    came_from: str | None = None
    redriven: Redriven | None = None

    @property
    def _first_told(self) -> tuple[int, str, str]:
        return self.dead_at_ms, self.reason, self.message

    def is_told_before(self, other: "Known") -> bool:
        """Of a record that was put aside twice the first letter counts, as it does in the tables."""
        return self._first_told < other._first_told


@dataclass
class Book:
    """The letters by id. Marks may be read before or after the letters that they are about."""

    _letters: dict[str, Known] = field(default_factory=dict)
    _marks: dict[str, Redriven] = field(default_factory=dict)

    def add(self, filed: Filed) -> bool:
        """Takes a record in; whether it is the letter that counts, as far as is known by now."""
        letter = filed.letter
        if letter.redriven is not None:
            self._marks.setdefault(short(letter.place), letter.redriven)
            return False
        told = _known(filed)
        known = self._letters.get(told.id)
        if known is not None and not told.is_told_before(known):
            return False
        self._letters[told.id] = told
        return True

    def letters(self) -> list[Known]:
        """All letters, the one that was put aside last first."""
        for known in self._letters.values():
            known.redriven = self._marks.get(known.id)
        return sorted(self._letters.values(), key=lambda known: (-known.dead_at_ms, known.id))


@dataclass(frozen=True)
class Choice:
    """Which letters are meant: those that every kind of filter lets through. An empty one lets all through."""

    ids: Container[str] = frozenset()
    topics: Container[str] = frozenset()
    reasons: Container[str] = frozenset()

    @classmethod
    def of(cls, ids: Iterable[str] = (), topics: Iterable[str] = (), reasons: Iterable[str] = ()) -> "Choice":
        return cls(frozenset(map(short, ids)), frozenset(map(short, topics)), frozenset(reasons))

    def __contains__(self, known: Known) -> bool:
        return (
            (not self.ids or known.id in self.ids)
            and (not self.topics or short(known.topic) in self.topics)
            and (not self.reasons or known.reason in self.reasons)
        )


def short(name: str) -> str:
    """A topic's or a letter's name, shorter to type: `omniscope.ml.automl.requested` → `automl.requested`."""
    return name.removeprefix("omniscope.").removeprefix("ml.")


def _known(filed: Filed) -> Known:
    letter = filed.letter
    came_from = [raw for name, raw in letter.headers if name == REDRIVEN_FROM]
    return Known(
        id=short(letter.place),
        topic=intern(letter.topic),
        partition=letter.partition,
        offset=letter.offset,
        reason=intern(letter.reason),
        message=letter.message,
        dead_at_ms=filed.timestamp_ms,
        filed=(filed.partition, filed.offset),
        about=_about(letter),
        size=len(letter.value or b""),
        cut=letter.cut,
        came_from=short((came_from[-1] or b"").decode(errors="replace")) if came_from else None,
    )


def _about(letter: DeadLetter) -> str:
    if letter.key:
        return letter.key.decode(errors="backslashreplace")
    if letter.cut or len(letter.value or b"") > _LARGEST_LOOKED_INTO:
        return ""
    try:
        event = decode(letter.value, letter.headers)
    except InvalidEvent:
        return ""
    return event.subject or str(event.data.get("job_id") or "")
