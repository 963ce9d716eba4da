"""What becomes of uploads → `datasets`."""

from typing import Any

from events.outcomes import DatasetRegistered, DatasetRejected
from schemas.projection.registers import Write
from schemas.projection.rules import DATASETS
from schemas.projection.told import Told, text, utc

_UPLOADED, _REJECTED, _REGISTERED = range(3)
#: Who names a dataset: its registration, else its upload, else its file, else its id.
_NAMED_BY_REGISTRATION, _NAMED_BY_UPLOAD, _NAMED_BY_FILE, _NAMED_BY_ID = range(4)

_SHA256_DIGITS = 64
_LONGEST_FORMAT = 16


def uploaded(told: Told) -> list[Write]:
    """A file nobody has looked at yet. The event's data may be wrong: then it will be rejected, with a reason."""
    data = told.event.data
    uri, name = text(data.get("uri")) or "", text(data.get("name"))
    file_name = uri.rstrip("/").rpartition("/")[2]
    row = {
        "status": "uploaded",
        "uri": uri,
        "format": _short(data.get("format"), _LONGEST_FORMAT),
        "sha256": _short(data.get("sha256"), _SHA256_DIGITS),
    }
    by = _NAMED_BY_UPLOAD if name else _NAMED_BY_FILE if file_name else _NAMED_BY_ID
    return [_dataset(told, _UPLOADED, name or file_name or told.key, by, row)]


def registered(told: Told) -> list[Write]:
    fact: DatasetRegistered = told.fact
    row = {
        "status": "registered",
        "uri": fact.uri,
        "format": fact.format,
        "sha256": fact.sha256,
        "size_bytes": fact.size_bytes,
        "n_rows": fact.n_rows,
        "n_columns": fact.n_columns,
        "n_missing": fact.n_missing,
        "columns": [column.model_dump(mode="json") for column in fact.columns],
        "registered_at": utc(fact.registered_at),
    }
    return [_dataset(told, _REGISTERED, fact.name, _NAMED_BY_REGISTRATION, row)]


def rejected(told: Told) -> list[Write]:
    fact: DatasetRejected = told.fact
    row = {
        "status": "rejected",
        "uri": fact.uri,
        "error_reason": fact.error.reason,
        "error": fact.error.message,
    }
    return [_dataset(told, _REJECTED, told.key, _NAMED_BY_ID, row)]


_EMPTY: dict[str, Any] = dict.fromkeys(DATASETS.table.columns.keys())


def _dataset(told: Told, rank: int, name: str, named_by: int, columns: dict[str, Any]) -> Write:
    row = {
        **_EMPTY,
        "id": told.key,
        **columns,
        "name": name,
        "name_place": told.place.sort_key(named_by),
        "created_at": told.place.time,
        "status_rank": rank,
        "status_place": told.place.sort_key(),
    }
    return Write(DATASETS, row)


def _short(value: object, longest: int) -> str | None:
    found = text(value)
    return found if found is not None and len(found) <= longest else None
