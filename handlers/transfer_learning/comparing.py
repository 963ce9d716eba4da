"""What transfer was worth: beside the same network from scratch, on the same test rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.intervals import intervals
from handlers.metrics import LOWER_IS_BETTER, Predictions, evaluate, is_better, score
from handlers.network_jobs.results import on_test_rows
from handlers.networks.network import Network
from handlers.networks.table import TableEncoder
from handlers.preparation import Prepared
from handlers.training.fit import Fitted
from handlers.training.settings import Settings

_DRAWS = 2000
#: Weights in memory at a time: 16 MB, whatever the number of rows.
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the first is better than the second in a metric, with a 95 % interval; positive is better."""

    metric: str
    value: float
    low: float
    high: float
    n_rows: int

    def __str__(self) -> str:
        return f"{self.value:+.3g} [{self.low:+.3g}, {self.high:+.3g}] in {self.metric}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be told of the same network from scratch, and of the base model as it stands.

    `beside`: their scores on the test rows; `note`: a clause for the summary.
    """

    warnings: list[str]
    beside: dict[str, Any]
    note: str = ""


def compare(
    fitted: Fitted,
    scratch: Fitted | None,
    base: Network | None,
    table: TableEncoder,
    prepared: Prepared,
    settings: Settings,
) -> Comparison:
    """The transferred network beside others on the test rows; nothing is claimed where one of them was cut short."""
    problem, test = prepared.problem, prepared.parts.test
    groups = None if problem.groups is None else problem.groups.iloc[test].astype(str).to_numpy()
    beside: dict[str, Any] = {}
    notes, warnings = "", []
    if scratch is not None:
        ours, theirs = (on_test_rows(each.network, table, prepared) for each in (fitted, scratch))
        beside["from_scratch"] = {"metrics": score(theirs), "intervals": intervals(theirs, groups, settings.seed)}
        gain = paired_gain(ours, theirs, settings.metric, groups, settings.seed)
        if gain is not None and not fitted.stopped and not scratch.stopped:
            notes, warnings = f"; gain over the same network from scratch {gain}", about_transfer(gain)
    if base is not None:
        untouched = score(on_test_rows(base, table, prepared))
        beside["base_model"] = {"metrics": untouched, "intervals": {}}
        if settings.metric in untouched:
            notes += f"; the base model as it stands has {settings.metric} {untouched[settings.metric]:.3g}"
    return Comparison(warnings, beside, notes)


def paired_gain(
    ours: Predictions, theirs: Predictions, metric: str, groups: np.ndarray[Any, Any] | None, seed: int
) -> Gain | None:
    """The gain of `ours` over `theirs` on the same n rows; None where the metric has no value on them.

    Method: percentiles of paired resamples of rows, or of whole groups (Efron and Tibshirani 1993, chapter 13).
    """
    if metric not in score(ours) or metric not in score(theirs):
        return None
    n = len(ours.y)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    count, rng, drawn = int(units.max()) + 1, np.random.default_rng(seed), []
    for begin in range(0, _DRAWS, step := max(1, _CHUNK // n)):
        draws = min(step, _DRAWS - begin)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=draws)[:, units].astype(float)
        drawn.append(evaluate(ours, weights)[metric] - evaluate(theirs, weights)[metric])
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    low, high = np.nanpercentile(sign * np.concatenate(drawn), [2.5, 97.5])
    return Gain(metric, sign * (score(ours)[metric] - score(theirs)[metric]), float(low), float(high), n)


def about_transfer(gain: Gain | None) -> list[str]:
    """A warning where transfer did not pay, made no difference, or nobody can tell."""
    if gain is None or gain.low > 0:
        return []
    if gain.low == gain.high == 0:
        return ["Transfer made no difference: the answers are those of the same network from scratch"]
    if gain.high < 0:
        return [
            f"Transfer did not pay: beside the same network from scratch it gains {gain} on {gain.n_rows} test rows. "
            "The base model may be of another kind of data, or there are rows enough without it"
        ]
    return [
        f"Whether transfer paid cannot be told from {gain.n_rows} test rows: beside the same network from scratch it "
        f"gains {gain}"
    ]


def members(fits: dict[str, Fitted], metric: str) -> list[dict[str, Any]]:
    """Lines of a leaderboard, best first: name, validation score, seconds."""
    ranked: list[tuple[str, Fitted]] = []
    for name, fitted in fits.items():
        place = sum(not scores_better(fitted.validation_score, other.validation_score, metric) for _, other in ranked)
        ranked.insert(place, (name, fitted))
    return [
        {"name": name, "validation_score": fitted.validation_score, "fit_seconds": fitted.seconds}
        for name, fitted in ranked
    ]


def scores_better(value: float | None, than: float | None, metric: str) -> bool:
    """Whether a score is better; one that is not known never is."""
    return value is not None and (than is None or is_better(metric, value, than))
