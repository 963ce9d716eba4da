"""What a report says, as plain data: made from what the read API tells, before anybody thinks of its looks."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.metrics import is_better

from .commands import Place, Snippet, again, loading
from .metrics import Metric, metric
from .numbers import figure, interval, moment, seconds, short
from .pictures import Picture, Pictures
from .verdict import Range, Verdict, ranges, verdict

#: A longer leaderboard is for programs.
MOST_MEMBERS = 30
_REFITTED = "_FULL"
_KINDS = {
    "binary": "one of two classes",
    "multiclass": "one of several classes",
    "regression": "a number",
}
_TYPES = {
    "automl": "AutoML (AutoGluon)",
    "deep_learning": "deep learning",
    "transfer_learning": "transfer learning",
    "ensemble": "ensemble",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a list. `code`: to be copied letter by letter."""

    label: str
    value: str
    code: bool = False


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
    split: tuple[Fact, ...]
    split_note: str
    data: tuple[Fact, ...]
    model: tuple[Fact, ...]
    primary: Metric
    leaderboard: tuple[Member, ...]
    n_more_members: int
    loading: tuple[Snippet, ...]
    again: tuple[Snippet, ...]
    run: tuple[Fact, ...]
    seconds: tuple[Fact, ...]
    packages: tuple[Fact, ...]
    footer: str


def report_data(
    results: Mapping[str, Any], dataset: Mapping[str, Any] | None, pictures: Pictures, place: Place
) -> ReportData:
    """Gathers a report.

    Args:
        results: a model's results, as the read API answers them; fields it may lack are left out of the report.
        dataset: the dataset's entry in the list of datasets, or the data of its `ml.dataset.registered`.
    """
    config = results["training_config"]
    members = _shown(results.get("leaderboard") or [])
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
        split=tuple(_split(results)),
        split_note=_split_note(config.get("group_column")),
        data=tuple(_data(results, dataset)),
        model=tuple(_model(results)),
        primary=metric(results["primary_metric"]),
        leaderboard=tuple(_members(members[:MOST_MEMBERS], results)),
        n_more_members=max(0, len(members) - MOST_MEMBERS),
        loading=tuple(loading(results, place)),
        again=tuple(again(results, place)),
        run=tuple(_run(results)),
        seconds=tuple(_seconds(results)),
        packages=tuple(_packages(results)),
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


def _split(results: Mapping[str, Any]) -> Iterable[Fact]:
    yield Fact("Training rows", figure(results["n_train"]))
    yield Fact("Test rows, never learned from", figure(results["n_test"]))
    if results.get("n_combination"):
        yield Fact("Rows kept aside for combining models", figure(results["n_combination"]))
    yield Fact("Split", results["split_id"], code=True)


def _split_note(group: str | None) -> str:
    whole = (
        f"All rows of one «{short(group)}» are on one side." if group else "Each row stands alone: no group was named."
    )
    return (
        f"{whole} The split follows from the file's bytes, the target and the group column alone, not from a seed: "
        "models with the same split were scored on the same rows and may be compared."
    )


def _data(results: Mapping[str, Any], dataset: Mapping[str, Any] | None) -> Iterable[Fact]:
    known = dataset or {}
    if known.get("name"):
        yield Fact("File", known["name"])
    yield Fact("Dataset", results["dataset_id"], code=True)
    for field, label in (("n_rows", "Rows"), ("n_columns", "Columns"), ("n_missing", "Cells without a value")):
        if known.get(field) is not None:
            yield Fact(label, figure(known[field]))
    sha256 = results.get("dataset_sha256") or known.get("sha256")
    if sha256:
        yield Fact("SHA-256", sha256, code=True)


def _model(results: Mapping[str, Any]) -> Iterable[Fact]:
    environment = results.get("environment") or {}
    yield Fact("Name", results["model_name"])
    yield Fact("Kind", _TYPES.get(results["model_type"], results["model_type"]))
    yield Fact(
        "Predicts", f"«{results['target_column']}», {_KINDS.get(results['problem_type'], results['problem_type'])}"
    )
    classes = results.get("classes")
    if classes:
        yield Fact("Classes", _listed(classes))
        if len(classes) == 2:
            yield Fact("Positive class", classes[1])
    yield Fact("Best of the search", results["architecture"])
    if environment.get("n_features"):
        yield Fact("Columns it could learn from", figure(environment["n_features"]))
    if results.get("validation_score") is not None:
        chosen = metric(results["primary_metric"]).in_a_sentence
        yield Fact("Validation score", f"{chosen} {figure(results['validation_score'])}; what models are chosen by")
    if results.get("registered_name"):
        yield Fact("Registered as", f"{results['registered_name']}, version {results.get('version')}")


def _listed(names: list[str], most: int = 12) -> str:
    told = ", ".join(names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} more"


def _shown(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the copies that AutoGluon refits on all training rows: they have no validation score of their own."""
    names = {member.get("name") for member in members}
    return [member for member in members if not _is_copy(str(member.get("name")), names)]


def _is_copy(name: str, names: Collection[object]) -> bool:
    return name.endswith(_REFITTED) and name.removesuffix(_REFITTED) in names


def _members(members: list[dict[str, Any]], results: Mapping[str, Any]) -> Iterable[Member]:
    weights = results["hyperparameters"].get("weights") or {}
    for member in members:
        name = str(member.get("name"))
        weight = weights.get(name, weights.get(f"{name}{_REFITTED}"))
        fit = member.get("fit_seconds")
        yield Member(
            name=name,
            validation_score=figure(member.get("validation_score")),
            fit="–" if fit is None else seconds(fit),
            weight="" if weight is None else figure(float(weight)),
        )


def _run(results: Mapping[str, Any]) -> Iterable[Fact]:
    config = results["training_config"]
    asked = (
        ("Time limit", f"{config['time_limit']} s" if config.get("time_limit") else None),
        ("Quality", config.get("quality")),
        ("Group column", config.get("group_column")),
        ("Columns left out", _listed(config.get("exclude_columns") or [])),
        ("Seed", config.get("seed")),
        ("Asked for by", results.get("created_by")),
        ("Machine", _machine(results.get("environment") or {})),
    )
    for label, value in asked:
        if value not in (None, ""):
            yield Fact(label, str(value))
    yield Fact("Model", results["model_id"], code=True)
    yield Fact("Job", results["job_id"], code=True)


def _machine(environment: Mapping[str, Any]) -> str:
    told = environment.get("hardware") or {}
    return ", ".join(
        f"{name.removesuffix('_gb')} {value} GB" if name.endswith("_gb") else f"{name} {value}"
        for name, value in told.items()
    )


def _seconds(results: Mapping[str, Any]) -> Iterable[Fact]:
    spent = (results.get("environment") or {}).get("seconds") or {}
    for phase, value in spent.items():
        yield Fact(phase, seconds(float(value)))


def _packages(results: Mapping[str, Any]) -> Iterable[Fact]:
    for name, version in ((results.get("environment") or {}).get("packages") or {}).items():
        yield Fact(name, str(version))
