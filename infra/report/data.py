"""What a report says, as plain data: made from what the read API tells, before anybody thinks of its looks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.metrics import is_better

from .commands import Place, Snippet, again, loading
from .explained import Explained
from .facts import (
    Fact,
    about_data,
    about_model,
    about_packages,
    about_run,
    about_seconds,
    about_split,
    split_note,
)
from .metrics import Metric, metric
from .numbers import figure, interval, moment, seconds, short
from .pictures import Picture, Pictures
from .verdict import Range, Verdict, ranges, verdict

#: A longer leaderboard is for programs.
MOST_MEMBERS = 30


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of the model beside the baseline's. Empty text where one of them does not have it."""

    metric: Metric
    primary: bool
    model: str
    model_interval: str
    baseline: str
    baseline_interval: str


@dataclass(frozen=True, slots=True)
class Member:
    """A line of the leaderboard. `weight`: its part in the final model, empty if it has none."""

    name: str
    validation_score: str
    fit: str
    weight: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything the template shows, in the order in which it shows it."""

    title: str
    subtitle: str
    verdict: Verdict
    ranges: tuple[Range, ...]
    warnings: tuple[str, ...]
    scores: tuple[Score, ...]
    baseline: str
    ahead: str
    intervals_note: str
    pictures: tuple[Picture, ...]
    explained: Explained | None
    split: tuple[Fact, ...]
    split_note: str
    data: tuple[Fact, ...]
    model: tuple[Fact, ...]
    primary: Metric
    compared: str
    leaderboard: tuple[Member, ...]
    n_more_members: int
    loading: tuple[Snippet, ...]
    again: tuple[Snippet, ...]
    run: tuple[Fact, ...]
    seconds: tuple[Fact, ...]
    packages: tuple[Fact, ...]
    footer: str

    @property
    def has_learning_curve(self) -> bool:
        return any(picture.name == "learning_curve" for picture in self.pictures)

    @property
    def has_weights(self) -> bool:
        return any(member.weight for member in self.leaderboard)


def report_data(
    results: Mapping[str, Any],
    dataset: Mapping[str, Any] | None,
    pictures: Pictures,
    place: Place,
    explained: Explained | None = None,
) -> ReportData:
    """Gathers a report.

    Args:
        results: a model's results, as the read API answers them; fields it may lack are left out of the report.
        dataset: the dataset's entry in the list of datasets, or the data of its `ml.dataset.registered`.
        explained: None where the model was not explained.
    """
    config = results["training_config"]
    members = results.get("leaderboard") or []
    name = (dataset or {}).get("name") or results["dataset_id"]
    return ReportData(
        title=f"Predicting «{short(results['target_column'])}»",
        subtitle=f"from {short(name)}, by {results['model_name']}, {moment(str(results['created_at']))}",
        verdict=verdict(results),
        ranges=ranges(results),
        warnings=(*(results.get("warnings") or []), *pictures.problems),
        scores=tuple(_scores(results)),
        baseline=results["baseline"]["name"],
        ahead=_ahead(results),
        intervals_note=_intervals_note(config.get("group_column")),
        pictures=pictures.shown,
        explained=explained,
        split=tuple(about_split(results)),
        split_note=split_note(config.get("group_column")),
        data=tuple(about_data(results, dataset)),
        model=tuple(about_model(results)),
        primary=metric(results["primary_metric"]),
        compared=_compared(results),
        leaderboard=tuple(_members(members[:MOST_MEMBERS], results)),
        n_more_members=max(0, len(members) - MOST_MEMBERS),
        loading=tuple(loading(results, place)),
        again=tuple(again(results, place)),
        run=tuple(about_run(results)),
        seconds=tuple(about_seconds(results)),
        packages=tuple(about_packages(results)),
        footer=f"Model {results['model_id']}, job {results['job_id']}",
    )


def _scores(results: Mapping[str, Any]) -> Iterable[Score]:
    """The primary metric first, the others as they were told."""
    plain, primary = results["baseline"], results["primary_metric"]
    for name in sorted(results["metrics"], key=lambda told: told != primary):
        yield Score(
            metric=metric(name),
            primary=name == primary,
            model=figure(results["metrics"][name]),
            model_interval=interval(results["intervals"].get(name)),
            baseline=figure(plain["metrics"].get(name)),
            baseline_interval=interval(plain["intervals"].get(name)),
        )


def _ahead(results: Mapping[str, Any]) -> str:
    """In how many of the metrics that both have the model is ahead: one good figure is easily found among nine."""
    own, other = results["metrics"], results["baseline"]["metrics"]
    both = [name for name in own if name in other]
    n_ahead = sum(is_better(name, own[name], other[name]) for name in both)
    return f"Over all metrics, it is ahead in {n_ahead} of {len(both)}." if both else ""


def _intervals_note(group: str | None) -> str:
    unit = f"each «{short(group)}» counts as one observation" if group else "each row counts as one observation"
    return f"Below each score: its 95 % interval, for which {unit}."


def _compared(results: Mapping[str, Any]) -> str:
    """What a leaderboard holds."""
    known = {
        "automl": "Models of the search, best first",
        "ensemble": "The members and what was made of them, best first",
    }
    return known.get(results["model_type"], "Networks that were trained to choose and to compare")


def _members(members: list[dict[str, Any]], results: Mapping[str, Any]) -> Iterable[Member]:
    weights = results["hyperparameters"].get("weights") or {}
    for member in members:
        name = str(member.get("name"))
        weight = weights.get(name)
        fit = member.get("fit_seconds")
        yield Member(
            name=name,
            validation_score=figure(member.get("validation_score")),
            fit="–" if fit is None else seconds(fit),
            weight="" if weight is None else figure(float(weight)),
        )
