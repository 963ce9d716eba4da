"""Artifacts and the state of jobs: keys and bytes, in a directory or in S3, through obstore.

Small values go by obstore's own async calls; files go through a few threads of the store's own, where they are
read, hashed and written, so that a large model holds up neither the event loop nor a claim.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore as Backend

from events.errors import OmniScopeError, ReasonCode

from .backends import open_backend
from .errors import told_as_store_error

#: Files on their way at a time, in each direction.
_PARALLEL = 8
_CHUNK = 1024 * 1024

#: How obstore names a local file until it is complete.
_STAGING_NAME = re.compile(r"#\d+\Z")

#: Object stores know no directories. A directory with nothing in it is kept as an empty object of this name.
EMPTY_DIRECTORY = ".empty-directory"


class ObjectStore:
    """See `infra.jobs.ports.Store`, which says what each method promises.

    A key is a relative path with forward slashes and without empty, `.` or `..` parts; any other is a ValueError.
    """

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self._name = name
        self._threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="store")

    @classmethod
    def open(cls, uri: str) -> "ObjectStore":
        """A directory (an absolute path or file://; made with mode 0700 if need be), or s3://bucket/prefix.

        S3 is told by the standard AWS_ variables, AWS_ENDPOINT_URL among them.

        Raises:
            ValueError: the uri is none of these.
            StoreError: the directory cannot be made.
        """
        with told_as_store_error(f"open {uri}"):
            return cls(open_backend(uri), uri)

    async def create(self, key: str, data: bytes) -> bool:
        with told_as_store_error(f"create {checked(key)}"):
            try:
                await obstore.put_async(self._backend, key, data, mode="create")
            except AlreadyExistsError:
                return False
            return True

    async def put(self, key: str, data: bytes) -> None:
        with told_as_store_error(f"put {checked(key)}"):
            await obstore.put_async(self._backend, key, data)

    async def get(self, key: str) -> bytes | None:
        with told_as_store_error(f"get {checked(key)}"):
            try:
                found = await obstore.get_async(self._backend, key)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def list(self, prefix: str) -> list[str]:
        with told_as_store_error(f"list {checked(prefix)}"):
            try:
                return sorted([entry["path"] async for page in obstore.list(self._backend, prefix) for entry in page])
            except FileNotFoundError:  # a file that went away while its directory was read
                return await self.list(prefix)

    async def written(self, prefix: str) -> dict[str, float]:
        """Every key below `prefix` → Unix time at which it was written, by the storage's clock."""
        with told_as_store_error(f"list {checked(prefix)}"):
            try:
                pages = [page async for page in obstore.list(self._backend, prefix)]
            except FileNotFoundError:  # a file that went away while its directory was read
                return await self.written(prefix)
            return {entry["path"]: entry["last_modified"].timestamp() for page in pages for entry in page}

    async def delete(self, key: str) -> None:
        with told_as_store_error(f"delete {checked(key)}"):
            await self._in_thread(self._delete_one, key)

    async def delete_all(self, prefix: str) -> int:
        keys = await self.list(prefix)
        with told_as_store_error(f"delete {prefix}"):
            await _all(self._in_thread(self._delete_one, key) for key in keys)
        return len(keys)

    async def upload(self, directory: Path, prefix: str) -> dict[str, str]:
        """See the port.

        Raises:
            OmniScopeError: something in `directory` is no file, or a link that leads out of it.
        """
        checked(prefix)
        files = await self._in_thread(_files_below, directory)
        sent = (self._in_thread(self._upload_one, path, f"{prefix}/{name}") for name, path in files.items())
        return dict(zip(files, await _all(sent), strict=True))

    async def download(self, prefix: str, directory: Path, files: Mapping[str, str] | None = None) -> None:
        """See the port.

        Raises:
            OmniScopeError: a file is not there (`file_missing`), or is not the one recorded (`sha256_mismatch`).
        """
        checked(prefix)
        if files is None:
            files = dict.fromkeys((key.removeprefix(f"{prefix}/") for key in await self.list(prefix)), "")
        await _all(
            self._in_thread(self._download_one, f"{prefix}/{checked(name)}", directory / name, sha256)
            for name, sha256 in files.items()
        )

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _delete_one(self, key: str) -> None:
        with suppress(FileNotFoundError):  # somebody else cleans up, too
            obstore.delete(self._backend, key)

    def _upload_one(self, path: Path | None, key: str) -> str:
        with told_as_store_error(f"upload {checked(key)}"):
            if path is None:
                obstore.put(self._backend, key, b"")
                return hashlib.sha256().hexdigest()
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            obstore.put(self._backend, key, path)
            return sha256

    def _download_one(self, key: str, target: Path, sha256: str) -> None:
        with told_as_store_error(f"download {key}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                found = obstore.get(self._backend, key)
            except FileNotFoundError:
                raise OmniScopeError(
                    ReasonCode.FILE_MISSING, f"{key} is not in {self._name}: it was removed, or the store was changed"
                ) from None
            if target.name == EMPTY_DIRECTORY and found.meta["size"] == 0:
                return
            digest = hashlib.sha256()
            with target.open("wb") as file:
                for chunk in found.stream(min_chunk_size=_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
        if sha256 and digest.hexdigest() != sha256.lower():
            target.unlink()
            raise OmniScopeError(
                ReasonCode.SHA256_MISMATCH,
                f"{key} is not the file that was recorded (its SHA-256 differs): restore it, or make it again",
            )


def checked(key: str) -> str:
    """The key, if it is one. Local file names and S3 keys are held to the same rules, so that data can move.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not key or len(key.encode()) > 1024:
        raise ValueError(f"a key has 1 to 1024 bytes, not {len(key.encode())}")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise ValueError(f"key {key!r} has an empty, '.' or '..' part")
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        raise ValueError(f"key {key!r} has a control character")
    if _STAGING_NAME.search(key):
        raise ValueError(f"key {key!r} ends like a file that is still being written")
    return key


async def _all(work: Any) -> list[Any]:
    """All results; at the first failure, only after what is on its way has come to rest."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _files_below(directory: Path) -> dict[str, Path | None]:
    """Relative name → file; None for a directory with nothing in it."""
    found: dict[str, Path | None] = {}
    home = directory.resolve()
    for folder, folders, names in os.walk(home):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        for path in (here / name for name in [*names, *links]):
            found[_name(path, home)] = path
        if not names and not folders and here != home:
            found[_name(here / EMPTY_DIRECTORY, home)] = None
    return dict(sorted(found.items()))


def _name(path: Path, home: Path) -> str:
    name = path.relative_to(home).as_posix()
    regular = path.is_file() and path.resolve().is_relative_to(home)
    with suppress(ValueError):
        if regular or path.name == EMPTY_DIRECTORY:
            return checked(name)
    raise OmniScopeError(
        ReasonCode.HANDLER_ERROR, f"the job left {name!r}, which is no file that can be kept: rename or remove it"
    )
