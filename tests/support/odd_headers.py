"""Header names that no careful client would send."""

from typing import Any

from aiokafka.producer import message_accumulator, producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy


class RawName(str):
    """A header's name that is sent as the bytes that it holds, in Latin-1. Only aiokafka's plain builder does so."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("latin-1")


def send_any_header_names(monkeypatch: Any) -> None:
    """Lets this process's producers send a `RawName`."""
    for module in (message_accumulator, producer):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
