"""What the life of a job asks of the rest of the house. The real ones speak Kafka, obstore and processes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from events.dead_letters import DeadLetter
from events.envelope import CloudEvent
from handlers.contract import BaseWeights
from handlers.transfer_learning.base_models import BaseModel


class Store(Protocol):
    """Keys and bytes, on disk or S3. Every method raises StoreError where the storage fails."""

    async def create(self, key: str, data: bytes) -> bool:
        """Writes only if nothing is there; one winner among any number. False: somebody was first."""

    async def put(self, key: str, data: bytes) -> None: ...

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None where there is nothing."""

    async def list(self, prefix: str) -> list[str]:
        """All keys below `prefix` (a folder, without a trailing slash), sorted."""

    async def delete(self, key: str) -> None:
        """Removes one key, if it is there."""

    async def delete_all(self, prefix: str) -> int:
        """Removes everything below `prefix`; how many keys went."""

    async def upload(self, directory: Path, prefix: str) -> dict[str, str]:
        """Copies a directory's files below `prefix`; relative path → SHA-256 (hex)."""

    async def download(self, prefix: str, directory: Path, files: Mapping[str, str] | None = None) -> None:
        """Copies what is below `prefix` into `directory`; with `files`, verifies every SHA-256."""


class StoreError(RuntimeError):
    """The storage failed; what it holds is unchanged, trying again is right."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A file's bytes on this machine, known by their hash."""

    path: Path
    sha256: str
    size: int


class DatasetCache(Protocol):
    """Datasets' bytes on this machine: each file copied once, hashed on the way, read-only."""

    async def admit(self, uri: str) -> Admitted:
        """The file as it is now.

        Raises:
            OmniScopeError: `uri_outside_roots`, `uri_unsupported`, `file_missing` or `file_empty`.
        """

    async def fetch(self, uri: str, sha256: str) -> Path:
        """The file that was registered with this hash.

        Raises:
            OmniScopeError: `dataset_changed` or `file_missing`.
        """


#: Hears of a download: the bytes so far, and all of them, where that is known. (0, None): it is about to begin.
Fetching = Callable[[int, int | None], None]


class Weights(Protocol):
    """Pretrained weights on this machine, fetched where they are not here yet."""

    async def fetch(self, base: BaseModel, tell: Fetching) -> BaseWeights:
        """The file with the weights of a base model that is no job's, its SHA-256 looked at anew.

        For a repository of the hub its `config.json` may lie beside the file.

        Raises:
            OmniScopeError: `weights_missing`, `weights_refused`, `file_missing`, `file_unreadable`,
                `uri_outside_roots` or `uri_unsupported`.
        """


class Outcomes(Protocol):
    """The way out: events and dead letters, returned from only when the broker has them."""

    async def publish(self, topic: str, event: CloudEvent) -> None: ...

    async def bury(self, letter: DeadLetter) -> None: ...


class Lease(Protocol):
    """Whether this worker may act for the partition a delivery came from."""

    async def held(self) -> None:
        """Returns when the group has confirmed us lately; waits otherwise.

        The caller is cancelled when the partition is lost.
        """
