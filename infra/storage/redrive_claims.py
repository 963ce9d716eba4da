"""Who sends a dead letter back: one of any number who try, decided by the store's atomic create-if-absent.

    dead-letters/<epoch>/<topic>-<partition>-<offset>/begun-<n>.json       somebody is about to send it
    dead-letters/<epoch>/<topic>-<partition>-<offset>/given-up-<n>.json    …and did not, and said so
    dead-letters/<epoch>/<topic>-<partition>-<offset>/redriven.json        it was sent: by whom, and where it stands

What was begun and neither given up nor sent within `STALE_S` was killed in between: the next one takes over.

All calls block. obstore's own async calls can abort an interpreter that ends soon after them (measured), and the
command that needs these claims is short.
"""

import json
import time
import uuid
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Self

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore as Backend

from events.dead_letters import DeadLetter, Redriven

from .backends import open_backend
from .errors import told_as_store_error
from .store import checked

STALE_S = 60.0
"""Seconds after which a claim without an end counts as broken off. Whoever sends is done, or has given up, before."""


@dataclass(frozen=True, slots=True)
class Ours:
    """We send it. `broken_off` names who began before and was killed, perhaps after sending."""

    number: int
    broken_off: str | None = None


@dataclass(frozen=True, slots=True)
class Underway:
    """Somebody else began `age_s` ago and may be sending it right now."""

    by: str
    age_s: float


class RedriveClaims:
    """The claims of one life of the log, taken in the name of `who`."""

    def __init__(self, backend: Backend, epoch: str, who: str) -> None:
        self._backend = backend
        self._epoch = epoch
        self._who = who
        self._token = uuid.uuid4().hex

    @classmethod
    def open(cls, uri: str, epoch: str, who: str) -> Self:
        """The claims in the artifact store at `uri`.

        Raises:
            ValueError: the uri is no store.
            StoreError: the store cannot be reached or made.
        """
        with told_as_store_error(f"open {uri}"):
            return cls(open_backend(uri), epoch, who)

    def take(self, letter: DeadLetter) -> Ours | Underway | Redriven:
        """The right to send the letter back, or who has it, or that it was sent.

        Raises:
            StoreError: the store failed.
        """
        broken_off: str | None = None
        for number in count(1):
            # Looked for after every claim as well: the one before us may have come to its end in the meantime.
            if sent := self._sent(letter):
                return sent
            key = self._key(letter, f"begun-{number}")
            begun: dict[str, Any] = {"by": self._who, "at": time.time(), "token": self._token}
            if self._create(key, begun) or (begun := self._get(key) or begun)["token"] == self._token:
                return self._sent(letter) or Ours(number, broken_off)
            if self._get(self._key(letter, f"given-up-{number}")) is None:
                age_s = time.time() - begun["at"]
                if age_s < STALE_S:
                    return Underway(begun["by"], max(age_s, 0.0))
                broken_off = begun["by"]
        raise AssertionError("the numbers do not end")

    def sent(self, letter: DeadLetter, redriven: Redriven) -> None:
        """It is on its topic again: nobody sends it from now on."""
        self._create(self._key(letter, "redriven"), asdict(redriven))

    def give_up(self, letter: DeadLetter, ours: Ours) -> None:
        """It certainly was not sent: the next one need not wait."""
        self._create(self._key(letter, f"given-up-{ours.number}"), {"by": self._who})

    def _sent(self, letter: DeadLetter) -> Redriven | None:
        told = self._get(self._key(letter, "redriven"))
        return Redriven(**told) if told else None

    def _key(self, letter: DeadLetter, name: str) -> str:
        folder = f"{letter.topic}-{letter.partition}-{letter.offset}"
        return checked(f"dead-letters/{self._epoch}/{folder}/{name}.json")

    def _create(self, key: str, told: dict[str, Any]) -> bool:
        with told_as_store_error(f"create {key}"):
            try:
                obstore.put(self._backend, key, json.dumps(told).encode(), mode="create")
            except AlreadyExistsError:
                return False
            return True

    def _get(self, key: str) -> dict[str, Any] | None:
        with told_as_store_error(f"get {key}"):
            try:
                found: dict[str, Any] = json.loads(bytes(obstore.get(self._backend, key).bytes()))
            except FileNotFoundError:
                return None
            return found
