"""Datasets on this machine: each file copied once, hashed on the way, kept read-only under its SHA-256.

A job reads its copy, so what happens to the original meanwhile changes no result. Who needs a copy for longer than
a moment makes a hard link to it (`infra.jobs.staging`): the cache itself forgets what was not asked for lately.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from events.errors import OmniScopeError, ReasonCode
from infra.jobs.ports import Admitted

from .backends import open_s3
from .errors import told_as_store_error
from .leftovers import INCOMING, shrink
from .roots import missing, resolve

_CHUNK = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class DatasetCache:
    """Files from `roots` (directories or s3:// prefixes) below the directory `root`; any number of processes share it.

    `max_gb`: what all copies may take together before those unused for longest go; zero: any amount.
    Both methods raise StoreError where the storage fails: a full disk, S3 out of reach.
    """

    def __init__(self, root: Path, roots: Sequence[str], max_gb: float = 0.0) -> None:
        self._root = root
        self._roots = tuple(roots)
        self._max_gb = max_gb

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
        if _is_there(path) and _still_has(path, sha256):
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
            with _incoming(self._root) as (file, name):
                sha256, size = _write(file, _chunks(uri, source))
                if size == 0:
                    raise OmniScopeError(ReasonCode.FILE_EMPTY, f"the file at {uri} is empty: upload it again")
                name.rename(self._root / sha256)  # over another copy of the same bytes, at worst
            shrink(self._root, self._max_gb)
        return Admitted(self._root / sha256, sha256, size)


def _is_there(copy: Path) -> bool:
    """Whether the copy is there; if so, it was used right now."""
    if not copy.exists():
        return False
    try:
        os.utime(copy)
    except FileNotFoundError:  # it went this moment
        return False
    except PermissionError:  # another user's serves as well, and is his to keep
        pass
    return True


def _still_has(copy: Path, sha256: str) -> bool:
    """Whether the copy still is what its name says: a disk can fail, and a hand can slip. If not, it is made anew."""
    try:
        with copy.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


@contextmanager
def _incoming(root: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file and its name for now. It is locked, so that everybody can tell it from a dead writer's."""
    fd, name = tempfile.mkstemp(dir=root, prefix=INCOMING)
    with os.fdopen(fd, "wb") as file:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield file, Path(name)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _write(file: BinaryIO, chunks: Iterable[bytes]) -> tuple[str, int]:
    """(SHA-256, size) of what is now on the disk."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    os.fchmod(file.fileno(), 0o400)
    os.fsync(file.fileno())
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
    with open_unmoved(uri, source) as file:
        while chunk := os.read(file, _CHUNK):
            yield chunk


@contextmanager
def open_unmoved(uri: str, path: str) -> Iterator[int]:
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
