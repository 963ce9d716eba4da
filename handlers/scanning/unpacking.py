"""The bytes of an artifact: each file, and what is packed in it, however deep.

Packed data are unpacked into an unnamed temporary file and mapped from there, so that memory stays bounded.
"""

import bz2
import io
import lzma
import mmap
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from .windows import Bytes

#: More than this is not unpacked of one file: nothing that we write comes near it.
MOST_UNPACKED = 4 << 30
_DEEPEST = 4
_BLOCK = 1 << 20
_PIECE = 1 << 9
_FEWEST_BYTES = 16
_GZIP = 31
_ZLIB_TRIAL = 1 << 12

_ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MAGICS = {
    b"PK\x03\x04": "zip",
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "parquet",
} | dict.fromkeys(_ZLIB_HEADERS, "zlib")


class TooMuch(Exception):
    """A file unpacks to more than `MOST_UNPACKED` bytes."""


def contents(path: Path) -> Iterator[Bytes]:
    """The file's own bytes, then those of everything that is packed in it.

    Raises:
        TooMuch: it cannot be searched as a whole.
    """
    if path.stat().st_size:
        with path.open("rb") as file, _mapped(file) as data:
            yield from _with_packed(data, Budget(), 0)


class Budget:
    """How many bytes may still be unpacked of one file."""

    def __init__(self) -> None:
        self.left = MOST_UNPACKED

    def take(self, n_bytes: int) -> None:
        self.left -= n_bytes
        if self.left < 0:
            raise TooMuch


@contextmanager
def _mapped(file: IO[bytes]) -> Iterator[Bytes]:
    # Not closed by hand: whoever still holds a view of it keeps it alive.
    yield np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)


def _with_packed(data: Bytes, budget: Budget, depth: int) -> Iterator[Bytes]:
    yield data
    if depth == _DEEPEST:
        return
    for offset, kind in _packed_at(data):
        with tempfile.TemporaryFile() as file:
            for member in _UNPACKERS[kind](data, offset):
                file.seek(0)
                file.truncate()
                if _spool(member, file, budget) >= _FEWEST_BYTES:
                    with _mapped(file) as inner:
                        yield from _with_packed(inner, budget, depth + 1)


def _spool(blocks: Iterator[bytes], file: IO[bytes], budget: Budget) -> int:
    size = 0
    try:
        for block in blocks:
            budget.take(len(block))
            size += file.write(block)
    # Bytes that only look like a beginning: what came out before the error is searched all the same.
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        pass
    file.flush()
    return size


def _packed_at(data: Bytes) -> Iterator[tuple[int, str]]:
    """Where packed data begin. A zip file's members are found through its first one."""
    raw = memoryview(data)  # type: ignore[arg-type]
    seen_zip = False
    for magic, kind in _MAGICS.items():
        for offset in _offsets(data, magic):
            if kind == "zip" and seen_zip:
                break
            if kind == "zlib" and not _is_zlib(raw[offset : offset + _ZLIB_TRIAL]):
                continue
            if kind == "parquet" and offset:
                continue
            seen_zip |= kind == "zip"
            yield offset, kind


def _offsets(data: Bytes, magic: bytes) -> Iterator[int]:
    for start in range(0, len(data), 1 << 24):
        block = data[start : start + (1 << 24) + len(magic) - 1].tobytes()
        place = block.find(magic)
        while place >= 0:
            yield start + place
            place = block.find(magic, place + 1)


def _is_zlib(start: memoryview) -> bool:
    try:
        return len(zlib.decompressobj().decompress(start, _ZLIB_TRIAL)) >= _FEWEST_BYTES
    except zlib.error:
        return False


def _zip(data: Bytes, offset: int) -> Iterator[Iterator[bytes]]:
    try:
        archive = zipfile.ZipFile(io.BufferedReader(_Raw(data[offset:])))
    except (zipfile.BadZipFile, OSError, ValueError):
        return
    with archive:
        # Stored members lie open in the file itself.
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or _has_magic(archive, member):
                yield _blocks(partial(archive.open, member))


def _has_magic(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as file:
        return file.read(4) == b"PAR1"


def _blocks(opened: Callable[[], IO[bytes]]) -> Iterator[bytes]:
    with opened() as file:
        while block := file.read(_BLOCK):
            yield block


def _inflated(data: Bytes, offset: int, inflater: Any) -> Iterator[bytes]:
    """What an incremental decompressor makes of the bytes from `offset` to the end of its stream."""
    for start in range(offset, len(data), _BLOCK):
        left = data[start : start + _BLOCK].tobytes()
        while not inflater.eof:
            yield inflater.decompress(left, _BLOCK)
            # zlib hands back what it has not looked at yet, the others keep it.
            left = getattr(inflater, "unconsumed_tail", b"")
            if not left and getattr(inflater, "needs_input", True):
                break
        if inflater.eof:
            return


def _stream(decompressor: Callable[[], Any]) -> Callable[[Bytes, int], Iterator[Iterator[bytes]]]:
    def members(data: Bytes, offset: int) -> Iterator[Iterator[bytes]]:
        yield _inflated(data, offset, decompressor())

    return members


def _zstd(data: Bytes, offset: int) -> Iterator[Iterator[bytes]]:
    import pyarrow

    def blocks() -> Iterator[bytes]:
        with pyarrow.CompressedInputStream(io.BufferedReader(_Raw(data[offset:])), "zstd") as stream:
            # Small pieces: one that reaches behind the stream's end is lost to the error that it meets there.
            while block := stream.read(_PIECE):
                yield block

    yield blocks()


def _parquet(data: Bytes, offset: int) -> Iterator[Iterator[bytes]]:
    import pyarrow
    import pyarrow.parquet

    def blocks() -> Iterator[bytes]:
        for batch in pyarrow.parquet.ParquetFile(io.BytesIO(data[offset:].tobytes())).iter_batches():
            for column in batch.columns:
                yield from (bytes(buffer) for buffer in column.buffers() if buffer is not None)

    yield blocks()


class _Raw(io.RawIOBase):
    """A read-only file over bytes that are not copied."""

    def __init__(self, data: Bytes) -> None:
        self._data, self._place = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._data)}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        found = self._data[self._place : self._place + len(buffer)]
        buffer[: len(found)] = found.tobytes()
        self._place += len(found)
        return len(found)


_UNPACKERS: dict[str, Callable[[Bytes, int], Iterator[Iterator[bytes]]]] = {
    "zip": _zip,
    "gzip": _stream(partial(zlib.decompressobj, _GZIP)),
    "bz2": _stream(bz2.BZ2Decompressor),
    "xz": _stream(lzma.LZMADecompressor),
    "zstd": _zstd,
    "zlib": _stream(zlib.decompressobj),
    "parquet": _parquet,
}
