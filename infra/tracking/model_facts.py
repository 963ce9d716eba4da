"""What a finished model says in its run: parameters, scores with their intervals, and where it comes from."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeGuard

from events.outcomes import ModelCompleted
from infra.tracking.names import key
from infra.tracking.values import finite, params


def params_of(fact: ModelCompleted) -> dict[str, str]:
    """What was asked for by its own name, what the training made of it behind `hyperparameters.`."""
    found = {"architecture": fact.architecture, "problem_type": fact.problem_type}
    counts = {"n_train": fact.n_train, "n_test": fact.n_test, "n_combination": fact.n_combination}
    asked = {name: value for name, value in fact.training_config.items() if name != "resources"}
    return params(found, counts, asked, {"hyperparameters": fact.hyperparameters})


def metrics_of(fact: ModelCompleted) -> dict[str, float]:
    """Scores on test rows: `auroc`, `auroc_low`, `auroc_high`, and the baseline's behind `baseline_`."""
    return finite(
        {
            "validation_score": fact.validation_score,
            **_with_bounds(fact.metrics, fact.intervals, ""),
            **_with_bounds(fact.baseline.metrics, fact.baseline.intervals, "baseline_"),
        }
    )


def curves_of(fact: ModelCompleted) -> dict[str, list[tuple[int, float]]]:
    """`history/train_loss` and its like: (epoch, value) for each epoch of a training.

    What a job tells while it runs is a sample: a hundred epochs may pass in two seconds. This is all of it.
    """
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    told = fact.plan.get("history")
    for entry in told if isinstance(told, list) else []:
        known = entry if isinstance(entry, Mapping) else {}
        epoch = known.get("epoch")
        if _is_number(epoch) and float(epoch).is_integer():
            numbers = {name: value for name, value in known.items() if name != "epoch" and _is_number(value)}
            for name, value in finite({key("history", name): value for name, value in numbers.items()}).items():
                curves[name].append((int(epoch), value))
    return dict(curves)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def tags_of(fact: ModelCompleted) -> dict[str, str]:
    """Where the model comes from, and what made it. Package versions stand behind `version.`."""
    packages = fact.environment.get("packages")
    versions = packages if isinstance(packages, Mapping) else {}
    return {
        "model_id": fact.model_id,
        "model_name": fact.model_name,
        "model_type": fact.model_type,
        "dataset_id": fact.dataset_id,
        "dataset_sha256": fact.dataset_sha256,
        "split_id": fact.split_id,
        "target_column": fact.target_column,
        "primary_metric": fact.primary_metric,
        "baseline": fact.baseline.name,
        "baseline_beaten": str(fact.baseline.beaten).lower(),
        "artifacts_path": fact.artifacts_path,
        **({"warnings": "\n".join(fact.warnings)} if fact.warnings else {}),
        **{f"version.{name}": str(version) for name, version in versions.items()},
    }


def _with_bounds(scores: Mapping[str, float], intervals: Mapping[str, Any], before: str) -> dict[str, float]:
    told: dict[str, float] = {}
    for name, score in scores.items():
        told[f"{before}{name}"] = score
        if name in intervals:
            told[f"{before}{name}_low"], told[f"{before}{name}_high"] = intervals[name]
    return told
