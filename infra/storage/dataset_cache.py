"""Datasets on this machine: each file copied once, hashed on the way, kept read-only under its SHA-256.

A job reads its copy, so what happens to the original meanwhile changes no result.
"""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from events.errors import OmniScopeError, ReasonCode
from infra.jobs.ports import Admitted

from .backends import open_s3
from .errors import told_as_store_error
from .roots import missing, resolve

_CHUNK = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class DatasetCache:
    """Files from `roots` (directories or s3:// prefixes) below the directory `root`; any number of processes share it.

    Both methods raise StoreError where the storage fails: a full disk, S3 out of reach.
    """

    def __init__(self, root: Path, roots: Sequence[str]) -> None:
        self._root = root
        self._roots = tuple(roots)

    async def fetch(self, uri: str, sha256: str) -> Path:
        """A copy of the file that has this SHA-256; only a look at the directory where it is there already.

        Raises:
            OmniScopeError: `dataset_changed`, `file_missing`, or one of `roots.resolve`.
        """
        if not _SHA256.match(sha256):
            raise ValueError("sha256 must be 64 lower-case hexadecimal digits")
        return await asyncio.to_thread(self._fetch, uri, sha256)

    async def admit(self, uri: str) -> Admitted:
        """A copy of the file as it is now, and its hash.

        Raises:
            OmniScopeError: `file_empty`, `file_missing`, or one of `roots.resolve`.
        """
        return await asyncio.to_thread(self._copy, uri)

    def _fetch(self, uri: str, sha256: str) -> Path:
        path = self._root / sha256
        if path.exists():
            return path
        if self._copy(uri).sha256 != sha256:
            raise OmniScopeError(
                ReasonCode.DATASET_CHANGED,
                f"the file at {uri} is no longer the one that was registered: "
                "restore it, or upload the new one under a new dataset_id",
            )
        return path

    def _copy(self, uri: str) -> Admitted:
        source = resolve(uri, self._roots)
        with told_as_store_error(f"copy {uri}"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd, name = tempfile.mkstemp(dir=self._root, prefix=".incoming-")
            try:
                sha256, size = _write(fd, _chunks(uri, source))
                if size == 0:
                    raise OmniScopeError(ReasonCode.FILE_EMPTY, f"the file at {uri} is empty: upload it again")
                Path(name).rename(self._root / sha256)  # over another copy of the same bytes, at worst
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        return Admitted(self._root / sha256, sha256, size)


def _write(fd: int, chunks: Iterable[bytes]) -> tuple[str, int]:
    """(SHA-256, size) of what is now on the disk: what bears its hash as a name is never looked at again."""
    digest = hashlib.sha256()
    with os.fdopen(fd, "wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fchmod(fd, 0o400)
        os.fsync(fd)
        return digest.hexdigest(), file.tell()


def _chunks(uri: str, source: str) -> Iterator[bytes]:
    if source.startswith("s3://"):
        bucket, _, key = source.removeprefix("s3://").partition("/")
        try:
            found = obstore.get(open_s3(f"s3://{bucket}"), key)
        except FileNotFoundError:
            raise missing(uri) from None
        except (PermissionDeniedError, UnauthenticatedError):
            raise _unreadable(uri) from None
        yield from map(bytes, found.stream(min_chunk_size=_CHUNK))
        return
    with _open_unmoved(uri, source) as file:
        while chunk := os.read(file, _CHUNK):
            yield chunk


@contextmanager
def _open_unmoved(uri: str, path: str) -> Iterator[int]:
    """Opens the very file that was resolved: a directory on the way may have become a link since."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing(uri) from None
    except PermissionError:
        raise _unreadable(uri) from None
    try:
        if str(Path(f"/proc/self/fd/{fd}").readlink()) != path:
            raise missing(uri)
        yield fd
    finally:
        os.close(fd)


def _unreadable(uri: str) -> OmniScopeError:
    return OmniScopeError(ReasonCode.FILE_UNREADABLE, f"the worker may not read {uri}: give it read permission")
