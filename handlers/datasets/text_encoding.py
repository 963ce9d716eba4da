"""The bytes of a text file, unpacked, and the encoding they are in."""

import codecs
import gzip
from pathlib import Path
from typing import IO, cast

from charset_normalizer import from_bytes

from events.errors import ReasonCode
from handlers.contract import JobRefused

_SAMPLE_BYTES = 256 * 1024
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
# UTF-32 first: its mark begins with that of UTF-16.
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Eight-bit encodings that people's files have; the wide field of all others makes guesses worse.
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030", "big5", "euc_kr"]


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked if they are gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def find_encoding(path: Path) -> str:
    """By the byte order mark; else UTF-8 if all of the file is; else the likeliest of the older encodings.

    Raises:
        JobRefused: `file_empty`, or `file_unreadable` where the bytes are no text.
    """
    try:
        with open_bytes(path) as file:
            start = file.read(_SAMPLE_BYTES)
            return _by_mark(start) or ("utf-8" if _is_utf8(start, file) else _guess(start))
    except (EOFError, OSError) as error:
        raise JobRefused(ReasonCode.FILE_UNREADABLE, "the file is damaged: it ends too early or is no gzip") from error


def _by_mark(start: bytes) -> str | None:
    if not start.strip():
        raise JobRefused(ReasonCode.FILE_EMPTY, "the file is empty: send a header and rows")
    for mark, name in _BOMS.items():
        if start.startswith(mark):
            return name
    if b"\0" in start:
        raise JobRefused(ReasonCode.FILE_UNREADABLE, "the file holds no text: say which format it really has")
    return None


def _is_utf8(start: bytes, rest: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(start)
        while chunk := rest.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _guess(start: bytes) -> str:
    best = from_bytes(start, cp_isolation=_LEGACY).best()
    if best is None:
        raise JobRefused(ReasonCode.FILE_UNREADABLE, "the file's encoding is not known: save it as UTF-8")
    return best.encoding
