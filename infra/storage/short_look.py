"""A look into the store that ends soon, whatever the store does, and leaves nothing in it.

obstore's own async calls can bring the interpreter down when the process ends right after them; here its plain
calls run in a thread.
"""

import asyncio
import time
from datetime import UTC, datetime

import obstore

from events.identifiers import new_id

from .backends import open_backend
from .errors import told_as_store_error


class TimeIsUp(Exception):
    """The store is too large, or too slow, to be looked through in the time."""


class ShortLook:
    """`list` and `get` of `infra.jobs.ports.Store`. All of it together takes about `seconds` at most.

    Each method raises StoreError where the storage fails, and TimeIsUp.
    """

    def __init__(self, uri: str, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._modified: dict[str, datetime] = {}
        with told_as_store_error(f"open {uri}"):
            self._backend = open_backend(uri, answer_s=seconds / 2)

    async def list(self, prefix: str) -> list[str]:
        return [*await asyncio.to_thread(self._keys, prefix)]

    async def get(self, key: str) -> bytes | None:
        return await asyncio.to_thread(self._get, key)

    async def write_and_remove(self) -> None:
        """Writes a small file and takes it away again."""
        await asyncio.to_thread(self._write_and_remove, f"doctor/{new_id()}")

    def seconds_since_change(self, folder: str) -> float:
        """How long nothing was written into a folder that was listed."""
        changes = (at for key, at in self._modified.items() if key == folder or key.startswith(f"{folder}/"))
        return (datetime.now(UTC) - max(changes, default=datetime.now(UTC))).total_seconds()

    def _keys(self, prefix: str) -> tuple[str, ...]:
        found: dict[str, datetime] = {}
        with told_as_store_error(f"list {prefix}"):
            try:
                for page in obstore.list(self._backend, prefix, chunk_size=1000):
                    self._keep_time()
                    found |= {entry["path"]: entry["last_modified"] for entry in page}
            except FileNotFoundError:  # a file that went away while its directory was read
                return self._keys(prefix)
        self._modified |= found
        return tuple(sorted(found))

    def _get(self, key: str) -> bytes | None:
        self._keep_time()
        with told_as_store_error(f"get {key}"):
            try:
                return bytes(obstore.get(self._backend, key).bytes())
            except FileNotFoundError:
                return None

    def _write_and_remove(self, key: str) -> None:
        self._keep_time()
        with told_as_store_error(f"create {key}"):
            obstore.put(self._backend, key, b"probe")
            obstore.delete(self._backend, key)

    def _keep_time(self) -> None:
        if time.monotonic() > self._until:
            raise TimeIsUp
