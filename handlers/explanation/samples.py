"""Which rows are explained."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from events.errors import ReasonCode
from events.requests import ExplanationRequested
from handlers.contract import JobRefused
from handlers.splits import Indices

from .ground import Ground
from .stratified import strata_of, stratified

#: Values of all samples, features and classes that are held at a time: 400 MB.
_MOST_CELLS = 50_000_000
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Samples:
    """0-based `rows` of the dataset file, in the order they were asked for, and what the reader should know."""

    rows: Indices
    warnings: list[str] = field(default_factory=list)


def choose_samples(request: ExplanationRequested, ground: Ground) -> Samples:
    """The rows asked for by `sample_indices`, or `num_samples` test rows, of every class its share.

    Raises:
        JobRefused: `out_of_range` or `invalid_field`.
    """
    if request.sample_indices is None:
        return _of_test_rows(request, ground)
    asked = request.sample_indices
    _refuse_outside(asked, len(ground.frame))
    if repeated := [row for row, count in Counter(asked).items() if count > 1]:
        raise JobRefused(
            ReasonCode.INVALID_FIELD, f"sample_indices names rows more than once: {_some(repeated)}: send each once"
        )
    most = _most(ground)
    if len(asked) > most:
        raise JobRefused(
            ReasonCode.OUT_OF_RANGE,
            f"sample_indices names {len(asked):,} rows; of a model with {ground.problem.X.shape[1]:,} features and "
            f"{_n_outputs(ground)} outputs at most {most:,} are explained at once: send them in several requests",
        )
    rows = np.array(asked, dtype=np.int64)
    return Samples(rows, _about_training(rows, ground))


def _of_test_rows(request: ExplanationRequested, ground: Ground) -> Samples:
    problem, test = ground.problem, ground.parts.test
    count, warnings = request.num_samples, []
    if count > len(test) and count != ExplanationRequested.model_fields["num_samples"].default:
        warnings.append(f"All {len(test)} test rows are explained: num_samples = {count:,} is more than there are")
    if (most := _most(ground)) < min(count, len(test)):
        warnings.append(f"{most:,} samples are explained and not {count:,}: their values would not fit into memory")
        count = most
    key = f"samples\x1f{problem.dataset_sha256}\x1f{request.seed}"
    chosen = stratified(test, strata_of(problem)[test], count, key)
    return Samples(problem.rows[chosen], warnings)


def _refuse_outside(asked: list[int], n_rows: int) -> None:
    if outside := [row for row in asked if row >= n_rows]:
        raise JobRefused(
            ReasonCode.OUT_OF_RANGE,
            f"sample_indices holds {_some(outside)}, but the dataset has {n_rows:,} rows: "
            f"send numbers from 0 to {n_rows - 1}",
        )


def _about_training(rows: Indices, ground: Ground) -> list[str]:
    n_known = int(np.isin(rows, ground.problem.rows[ground.parts.train]).sum())
    if not n_known:
        return []
    return [f"{n_known} of the {len(rows)} explained rows trained the model: of new rows its answers are less sure"]


def _most(ground: Ground) -> int:
    return max(1, _MOST_CELLS // (ground.problem.X.shape[1] * _n_outputs(ground)))


def _n_outputs(ground: Ground) -> int:
    classes = ground.problem.classes
    return 1 if classes is None or len(classes) == 2 else len(classes)


def _some(rows: Iterable[int]) -> str:
    named = list(rows)
    told = ", ".join(str(row) for row in named[:_MOST_NAMED])
    return told if len(named) <= _MOST_NAMED else f"{told} and {len(named) - _MOST_NAMED} more"
