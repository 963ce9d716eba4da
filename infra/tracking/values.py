"""Nested settings → MLflow's flat parameters, within its limits."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from infra.tracking.names import key

#: MLflow's own limits: characters of a value, entries of a batch.
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
PER_BATCH = 100

#: More than that nobody reads, and every one is a row.
MOST_PARAMS = 500
_DEEPEST = 6

T = TypeVar("T")


def params(*nested: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by dotted name. Nothing and empty texts are left out; of long values the beginning is kept."""
    flat = ((key(name), shortened(value)) for whole in nested for name, value in _flat(whole, "", 0))
    return dict(islice(((name, value) for name, value in flat if value), MOST_PARAMS))


def _flat(whole: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in whole.items():
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            yield from _flat(value, f"{before}{name}.", depth + 1)
        elif value is not None:
            yield f"{before}{name}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    told = json.dumps(value, ensure_ascii=False, default=str)
    # 20,000 columns are cut below: how many there were is worth more than one name more.
    return f"{len(value)}: {told}" if isinstance(value, list) and len(told) > LONGEST_PARAM else told


def shortened(text: str, longest: int = LONGEST_PARAM) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """The numbers among them: a score that is not defined is no point in a chart."""
    return {key(name): value for name, value in metrics.items() if value is not None and math.isfinite(value)}


def batches(entries: Iterable[T], size: int = PER_BATCH) -> Iterator[list[T]]:
    """Lists of at most `size`."""
    rest = iter(entries)
    while batch := list(islice(rest, size)):
        yield batch
