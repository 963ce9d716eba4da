"""What transfer was worth: beside the same network from scratch, on the same test rows."""

from dataclasses import dataclass
from typing import Any

from handlers.gains import Gain, paired_gain
from handlers.intervals import intervals
from handlers.metrics import is_better, score
from handlers.network_jobs.results import on_test_rows
from handlers.networks.network import Network
from handlers.networks.table import TableEncoder
from handlers.preparation import Prepared
from handlers.training.fit import Fitted
from handlers.training.settings import Settings


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
