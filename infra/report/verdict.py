"""Whether the model was worth its while: a sentence, and its score beside the baseline's on one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .metrics import metric
from .numbers import figure, interval, short

Standing = Literal["better", "unclear", "worse"]

_HEADLINES: dict[Standing, str] = {
    "better": "Better than the baseline",
    "unclear": "Better than the baseline, but not clearly",
    "worse": "Not better than the baseline",
}
#: Room left of the lowest and right of the highest end, as a share of what lies between.
_MARGIN = 0.08


@dataclass(frozen=True, slots=True)
class Verdict:
    """`standing` decides the colour; `headline` and `sentence` say it without one."""

    standing: Standing
    headline: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Range:
    """One score with its interval on the common scale; places in percent of its length."""

    label: str
    told: str
    at: float
    low: float
    high: float


def verdict(results: Mapping[str, Any]) -> Verdict:
    """Better means: on the test rows, in the primary metric. Clearly: the 95 % intervals lie apart."""
    name, plain = results["primary_metric"], results["baseline"]
    own, other = results["intervals"].get(name), plain["intervals"].get(name)
    standing: Standing = "better" if plain["beaten"] else "worse"
    doubt = ""
    if plain["beaten"] and not (own and other):
        standing, doubt = "unclear", "; no interval tells how sure that is"
    elif plain["beaten"] and _overlap(own, other):
        standing, doubt = "unclear", "; the intervals overlap, so the difference may be chance"
    elif not plain["beaten"]:
        doubt = "; of the two, the simpler one is the better choice"
    predicts = "predicts" if plain["beaten"] else "does not predict"
    compared = f"{_told(results['metrics'].get(name), own)} against {_told(plain['metrics'].get(name), other)}"
    sentence = (
        f"On {results['n_test']:,} rows that it never saw, the model {predicts} «{short(results['target_column'])}» "
        f"better than the plain baseline, {plain['name']}: {metric(name).in_a_sentence} {compared} "
        f"({metric(name).direction}){doubt}."
    )
    return Verdict(standing, _HEADLINES[standing], sentence)


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _told(value: float | None, low_high: Sequence[float] | None) -> str:
    within = interval(low_high)
    return f"{figure(value)} ({within})" if within else figure(value)


def ranges(results: Mapping[str, Any]) -> tuple[Range, ...]:
    """Model and baseline in the primary metric, for a drawing; empty where an interval is missing."""
    name, plain = results["primary_metric"], results["baseline"]
    lines = [
        (results["model_name"], results["metrics"].get(name), results["intervals"].get(name)),
        (plain["name"], plain["metrics"].get(name), plain["intervals"].get(name)),
    ]
    if any(value is None or not low_high for _, value, low_high in lines):
        return ()
    ends = [end for _, value, low_high in lines for end in (value, *low_high)]
    begin, length = min(ends), max(ends) - min(ends)

    def place(value: float) -> float:
        share = (value - begin) / length if length else 0.5
        return round(100 * (_MARGIN + share * (1 - 2 * _MARGIN)), 2)

    return tuple(
        Range(label, _told(value, low_high), place(value), place(low_high[0]), place(low_high[1]))
        for label, value, low_high in lines
    )
