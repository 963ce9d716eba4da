"""Record batches as they travel: cut out of a fetch and sent again byte by byte, so that nothing of a record changes.

Layout: Kafka protocol guide, "Record Batch" (magic 2). Bytes, big-endian: base offset 0–7, length 8–11 (of what
follows), leader epoch, magic 16, CRC-32C 17–20 (of what follows), attributes 21–22, last offset delta 23–26,
first and greatest timestamp 27–42, producer 43–52, base sequence 53–56, count 57–60, then the records.
"""

import gzip
import struct
from dataclasses import dataclass
from functools import lru_cache

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c, encode_varint

_HEADER = struct.Struct(">qi4xbIhiqq14xi")
_LENGTH_FROM = 12
_GZIP, _CONTROL = 0x01, 0x20
#: Offsets in a hole of common size: some 3 kB, and as many are passed over by a reader at a time.
HOLE = 1000
#: The key of a commit marker: version 0, type 1. Readers skip control batches, whatever is in them.
_MARKER = struct.pack(">hh", 0, 1)


class BrokenBatch(ValueError):
    """These bytes are no record batch, or not the one that was written."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Offsets `base` to `next - 1` of a partition. `is_hole`: they hold nothing that a reader gets to see."""

    base: int
    next: int
    is_hole: bool
    data: bytes

    @property
    def newest_ms(self) -> int:
        """The greatest timestamp of its records, as their publisher told it; 0 for a hole."""
        return int.from_bytes(self.data[35:43], signed=True)


def split(data: bytes) -> list[Batch]:
    """The batches in a fetch's bytes; one that is cut off at the end is left out."""
    view, found = memoryview(data), []
    while len(view) >= _HEADER.size:
        base, length, magic, _, attributes, last_delta, _, _, count = _HEADER.unpack_from(view)
        end = _LENGTH_FROM + length
        if magic != 2 or length < _HEADER.size - _LENGTH_FROM:
            raise BrokenBatch(f"no record batch of version 2 at offset {base}")
        if end > len(view):
            break
        is_hole = count == 0 or bool(attributes & _CONTROL)
        found.append(Batch(base, base + last_delta + 1, is_hole, bytes(view[:end])))
        view = view[end:]
    return found


def check(batch: Batch) -> None:
    """Compares the bytes with their checksum and with the offsets they are said to have.

    Raises:
        BrokenBatch: they differ.
    """
    read = split(batch.data)
    if len(read) != 1 or (read[0].base, read[0].next) != (batch.base, batch.next):
        raise BrokenBatch(f"the batch at offset {batch.base} is another")
    if not DefaultRecordBatch(batch.data).validate_crc():
        raise BrokenBatch(f"the batch at offset {batch.base} has a wrong checksum")


def holes(base: int, end: int) -> list[Batch]:
    """Batches that take up the offsets from `base` to `end - 1` and hold nothing."""
    found = []
    for start in range(base, end, HOLE):
        next_ = min(start + HOLE, end)
        # Where a batch stands is no part of what its checksum is about.
        found.append(Batch(start, next_, True, struct.pack(">q", start) + hole(next_ - start)[8:]))
    return found


@lru_cache(maxsize=4)
def hole(length: int) -> bytes:
    """A batch that takes up `length` offsets and that every reader passes over in silence.

    It is a control batch with a marker for each offset. One marker would do by the protocol, but the embedded broker
    counts records where it should count offsets, and would hand it out `length` times.
    """
    records = gzip.compress(b"".join(_marker(delta) for delta in range(length)), mtime=0)
    body = struct.pack(">hiqqqhii", _CONTROL | _GZIP, length - 1, 0, 0, -1, -1, -1, length) + records
    framed = struct.pack(">qiib", 0, 9 + len(body), -1, 2)
    return framed + struct.pack(">I", calc_crc32c(body)) + body


def _marker(delta: int) -> bytes:
    record = bytearray(2)  # attributes, and the difference of time
    for number in (delta, len(_MARKER)):
        encode_varint(number, record.append)
    record += _MARKER
    for number in (-1, 0):  # no value, no headers
        encode_varint(number, record.append)
    framed = bytearray()
    encode_varint(len(record), framed.append)
    return bytes(framed + record)
