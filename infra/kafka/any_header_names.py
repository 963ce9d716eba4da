"""A header's name may be any bytes, whatever the protocol says of text: our readers go on.

Not every client checks what it sends, and no broker does. aiokafka raises CorruptRecordException at such a record, at
every try, so one of them would keep a worker from all that stands behind it: its consumer dies, and the next one's.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

#: What stands before a batch and is not counted in its length: its offset and the length itself.
_OVERHEAD = 12
_MAGIC_AT = 16
#: Batches before this format know no headers.
_WITH_HEADERS = 2


def tolerate_any_header_names() -> None:
    """From now on every consumer of this process hands over what is no UTF-8 in a header's name as `\\xff`."""
    fetcher.MemoryRecords = Records


class Records:
    """aiokafka's MemoryRecords: the batches of one answer to a fetch."""

    def __init__(self, raw: bytes) -> None:
        self._raw = memoryview(bytes(raw))
        self._at = 0
        self._records = MemoryRecords(raw)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if batch is None:
            return None
        length = int.from_bytes(self._raw[self._at + 8 : self._at + _OVERHEAD], "big")
        whole = self._raw[self._at : self._at + _OVERHEAD + length]
        self._at += _OVERHEAD + length
        return _Batch(batch, whole) if whole[_MAGIC_AT] >= _WITH_HEADERS else batch


class _Batch:
    """A batch that is read a second time, leniently, from the record on that the first reading stopped at."""

    def __init__(self, batch: Any, whole: memoryview) -> None:
        self._batch = batch
        self._records = self._read(whole)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        return self._records

    def __next__(self) -> Any:
        return next(self._records)

    def _read(self, whole: memoryview) -> Iterator[Any]:
        done = 0
        try:
            for record in self._batch:
                done += 1
                yield record
        except (CorruptRecordException, UnicodeDecodeError):
            for number, record in enumerate(_leniently(whole)):
                if number >= done:
                    yield record


def _leniently(whole: memoryview) -> Iterator[Any]:
    batch = _DefaultRecordBatchPy(bytes(whole))
    batch._maybe_uncompress()
    batch._buffer = _LenientText(batch._buffer)
    return iter(batch)


class _LenientText(bytearray):
    """Bytes whose parts decode whatever they are."""

    def __getitem__(self, where: Any) -> Any:
        found = super().__getitem__(where)
        return _LenientText(found) if isinstance(where, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")
