"""Which columns of a dataset a training request means."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from events.errors import ReasonCode
from events.requests import TrainingRequested
from handlers.contract import JobRefused

MOST_NAMES = 5
MOST_GUESSES = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """Places of columns in the file (names may be there twice), and what the reader should know."""

    target: int
    group: int | None
    features: list[int]
    warnings: list[str]


def choose_columns(request: TrainingRequested, header: Sequence[str], annotations: Collection[str]) -> Choice:
    """Finds the target, the groups and the features in a header.

    Without `feature_columns`, features are all columns but the target, the group, those excluded, those
    without a name, and `annotations` (obs of AnnData: clusters and the like would give the answer away).

    Raises:
        JobRefused: `target_missing`, `target_duplicate`, `column_missing`, `invalid_field` or `no_features`.
    """
    counts = Counter(header)
    target = _target(request, header, counts)
    _require("group_column", [request.group_column] if request.group_column else [], counts)
    _require("feature_columns", request.feature_columns or [], counts)
    _require("exclude_columns", request.exclude_columns or [], counts)
    _refuse_contradictions(request, counts)
    group = header.index(request.group_column) if request.group_column else None
    left_out = {request.target_column, request.group_column, *(request.exclude_columns or [])}
    if request.feature_columns is None:
        names = set(header) - left_out - set(annotations) - {""}
    else:
        names = set(request.feature_columns) - left_out
    features, warnings = _first_of_each(header, names, counts)
    if not features:
        raise JobRefused(
            ReasonCode.NO_FEATURES,
            f"no feature is left beside the target column {quote([request.target_column])}: "
            "name feature_columns, or exclude fewer columns",
        )
    if request.feature_columns is None and "" in counts:
        warnings.append("Columns without a name are not used as features")
    return Choice(target, group, features, warnings)


def _target(request: TrainingRequested, header: Sequence[str], counts: Counter[str]) -> int:
    name = request.target_column
    if counts[name] == 0:
        raise JobRefused(
            ReasonCode.TARGET_MISSING,
            f"the dataset has no column {quote([name])}: send the target_column as it stands in the header"
            f"{did_you_mean([name], header)}",
        )
    if counts[name] > 1:
        raise JobRefused(
            ReasonCode.TARGET_DUPLICATE,
            f"{counts[name]} columns are called {quote([name])}: give the target column a name of its own",
        )
    return header.index(name)


def _require(field: str, names: Iterable[str], counts: Counter[str]) -> None:
    if missing := [name for name in dict.fromkeys(names) if name not in counts]:
        raise JobRefused(
            ReasonCode.COLUMN_MISSING,
            f"{field} names columns that the dataset does not have: {quote(missing)}{did_you_mean(missing, counts)}",
        )


def _refuse_contradictions(request: TrainingRequested, counts: Counter[str]) -> None:
    target, group = request.target_column, request.group_column
    if group == target:
        raise JobRefused(ReasonCode.INVALID_FIELD, f"group_column and target_column are both {quote([target])}")
    if group and counts[group] > 1:
        raise JobRefused(
            ReasonCode.INVALID_FIELD, f"{counts[group]} columns are called {quote([group])}: rename the group column"
        )
    if target in (request.feature_columns or []):
        raise JobRefused(
            ReasonCode.INVALID_FIELD, f"feature_columns holds the target column {quote([target])}: leave it out"
        )


def _first_of_each(header: Sequence[str], names: set[str], counts: Counter[str]) -> tuple[list[int], list[str]]:
    first: dict[str, int] = {}
    for place, name in enumerate(header):
        if name in names:
            first.setdefault(name, place)
    twice = [name for name in first if counts[name] > 1]
    warnings = [f"Of columns with the same name only the first is used: {quote(twice)}"] if twice else []
    return list(first.values()), warnings


def did_you_mean(wrong: Sequence[str], known: Iterable[str]) -> str:
    """` (did you mean «…»?)` with at most three names that are written nearly so, in any case; else nothing."""
    by_folded = {name.casefold(): name for name in known if name}
    near = [match for name in wrong[:MOST_NAMES] for match in _near(name.casefold(), by_folded)]
    told = " or ".join(quote([by_folded[match]]) for match in list(dict.fromkeys(near))[:MOST_GUESSES])
    return f" (did you mean {told}?)" if told else ""


def _near(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, known, n=MOST_GUESSES, cutoff=0.75)


def quote(names: Sequence[str]) -> str:
    """At most five names, quoted, and how many more there are."""
    told = ", ".join(f"«{name[:100]}»" for name in names[:MOST_NAMES])
    return told if len(names) <= MOST_NAMES else f"{told} and {len(names) - MOST_NAMES} more"
