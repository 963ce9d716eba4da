"""The lists of a report: what is known of data, split, model and run, as lines of label and value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .metrics import metric
from .numbers import figure, seconds, short

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


def about_split(results: Mapping[str, Any]) -> Iterable[Fact]:
    yield Fact("Training rows", figure(results["n_train"]))
    yield Fact("Test rows, never learned from", figure(results["n_test"]))
    if results.get("n_combination"):
        yield Fact("Rows kept aside for combining models", figure(results["n_combination"]))
    yield Fact("Split", results["split_id"], code=True)


def split_note(group: str | None) -> str:
    """What decided the split, and what it kept together."""
    whole = (
        f"All rows of one «{short(group)}» are on one side." if group else "Each row stands alone: no group was named."
    )
    return (
        f"{whole} The split follows from the file's bytes, the target and the group column alone, not from a seed: "
        "models with the same split were scored on the same rows and may be compared."
    )


def about_data(results: Mapping[str, Any], dataset: Mapping[str, Any] | None) -> Iterable[Fact]:
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


def about_model(results: Mapping[str, Any]) -> Iterable[Fact]:
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
    yield Fact("Best of the search" if results["model_type"] == "automl" else "Architecture", results["architecture"])
    yield from _about_epochs(results.get("plan") or {})
    scratch = ((results.get("plan") or {}).get("from_scratch") or {}).get("metrics") or {}
    if results["primary_metric"] in scratch:
        told = f"{metric(results['primary_metric']).in_a_sentence} {figure(scratch[results['primary_metric']])}"
        yield Fact("The same network from scratch", f"{told} on the test rows")
    if environment.get("n_features"):
        yield Fact("Columns it could learn from", figure(environment["n_features"]))
    if results.get("validation_score") is not None:
        chosen = metric(results["primary_metric"]).in_a_sentence
        yield Fact("Validation score", f"{chosen} {figure(results['validation_score'])}; what models are chosen by")
    if results.get("registered_name"):
        yield Fact("Registered as", f"{results['registered_name']}, version {results.get('version')}")


def _about_epochs(plan: Mapping[str, Any]) -> Iterable[Fact]:
    """How long a network was trained, and which of its epochs was kept."""
    if plan.get("epochs_run"):
        best = f"; kept as after epoch {figure(plan['best_epoch'])}" if plan.get("best_epoch") else ""
        yield Fact("Epochs trained", f"{figure(plan['epochs_run'])}{best}")


def _listed(names: list[str], most: int = 12) -> str:
    told = ", ".join(names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} more"


def about_run(results: Mapping[str, Any]) -> Iterable[Fact]:
    config = results["training_config"]
    asked = (
        ("Time limit", f"{config['time_limit']} s" if config.get("time_limit") else None),
        ("Quality", config.get("quality")),
        ("Started from", config.get("base_model")),
        ("Layers that learned on", _if_known(config.get("fine_tune_layers"))),
        ("Weights to begin with", config.get("weights") if config.get("base_model") else None),
        ("A row is read as", " × ".join(map(str, config.get("input_shape") or []))),
        ("Epochs at most", config.get("epochs")),
        ("Batch size", config.get("batch_size")),
        ("Learning rate", config.get("learning_rate")),
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


def _if_known(value: object) -> str | None:
    if value == 0:
        return "the head alone"
    return None if value is None else f"the last {value}" if isinstance(value, int) else str(value)


def _machine(environment: Mapping[str, Any]) -> str:
    told = environment.get("hardware") or {}
    return ", ".join(
        f"{name.removesuffix('_gb')} {value} GB" if name.endswith("_gb") else f"{name} {value}"
        for name, value in told.items()
    )


def about_seconds(results: Mapping[str, Any]) -> Iterable[Fact]:
    spent = (results.get("environment") or {}).get("seconds") or {}
    for phase, value in spent.items():
        yield Fact(phase, seconds(float(value)))


def about_packages(results: Mapping[str, Any]) -> Iterable[Fact]:
    for name, version in ((results.get("environment") or {}).get("packages") or {}).items():
        yield Fact(name, str(version))
