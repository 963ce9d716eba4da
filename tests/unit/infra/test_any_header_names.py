"""Batches with header names that are no UTF-8: every record of them is read, whatever stands before it."""

from typing import Any

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from support.odd_headers import RawName

from infra.kafka.any_header_names import Records

BAD, GOOD = ("x\xff", b"\xfe"), ("né", None)


def batch(base: int, records: list[list[tuple[str, bytes | None]]], compression: int = 0) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, compression, False, -1, -1, -1, 100_000)
    for number, headers in enumerate(records):
        named = [(RawName(name) if "\xff" in name else name, value) for name, value in headers]
        builder.append(number, 1000 + number, b"k", b"v%d" % number, named)
    built = bytes(builder.build())
    return base.to_bytes(8, "big") + built[8:]


def read(raw: bytes) -> list[tuple[int, Any, Any]]:
    records, found = Records(raw), []
    assert records.size_in_bytes() == len(raw)
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        assert not one.is_control_batch
        found += [(record.offset, record.value, list(record.headers)) for record in one]
    assert records.next_batch() is None
    return found


@pytest.mark.parametrize("compression", [0, 1])
def test_every_record_of_every_batch_is_read(compression: int) -> None:
    first = batch(10, [[GOOD], [BAD, GOOD], [], [BAD]], compression)
    second = batch(14, [[GOOD], []])
    bad = ("x\\xff", b"\xfe")
    assert read(first + second) == [
        (10, b"v0", [GOOD]), (11, b"v1", [bad, GOOD]), (12, b"v2", []), (13, b"v3", [bad]),
        (14, b"v0", [GOOD]), (15, b"v1", []),
    ]  # fmt: skip


def test_a_batch_that_is_really_broken_still_says_so() -> None:
    whole = bytearray(batch(0, [[GOOD], [BAD]]))
    whole[-2] = 0x7E  # the length of the last value leads out of the batch
    records = Records(bytes(whole))
    with pytest.raises(Exception, match="record"):
        list(records.next_batch())
