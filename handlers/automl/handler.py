"""The AutoML handler: reads, splits, fits, packs, and scores what was packed."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from typing import Any

import numpy as np

from events.errors import ReasonCode
from events.outcomes import Baseline, ModelFacts
from events.requests import AutomlRequested
from handlers.baselines import baseline, fit_plain
from handlers.contract import Inputs, JobRefused, Outputs, Report, Result
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.intervals import intervals
from handlers.metrics import score
from handlers.splits import Split

from . import facts
from .artifact import predict, write_artifact
from .caveats import about_result, about_split
from .cleaning import clean_clone
from .fitting import Plan, fit, plan_fit
from .objectives import objective

_PACKAGES = (
    "autogluon-tabular", "catboost", "lightgbm", "mlflow", "numpy", "pandas", "scikit-learn", "torch", "xgboost",
    "xgboost-cpu",
)  # fmt: skip


def run(request: AutomlRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Trains on the training rows of a dataset and leaves an MLflow model in `out.model`.

    Same request, data and cores: same numbers, unless the time limit cut the fit short.

    Raises:
        JobRefused: the data cannot be learned from as asked, or no model came out (`training_failed`).
    """
    if inputs.dataset is None:
        raise JobRefused(ReasonCode.DATASET_UNKNOWN, "the request names no dataset that could be read")
    clock = Clock()
    with clock("read"):
        report(0, "Reading the dataset")
        problem = load_problem(request, inputs.dataset)
        target = objective(request.eval_metric, problem.problem_type)
        parts = problem.split()
        _check_train(problem, parts)
    plan = plan_fit(request, problem, target, inputs.limits)
    work = out.directory / "fit"
    try:
        _limit_threads(inputs.limits.cpus)
        with clock("fit"):
            report(2, f"Training on {len(parts.train)} rows and {problem.X.shape[1]} columns")
            predictor = fit(plan, problem, parts.train, work / "all", report)
        with clock("pack"):
            report(90, "Packing the best model")
            cleaned = clean_clone(predictor, work / "predictor")
            write_artifact(cleaned, problem, out.model)
        with clock("score"):
            report(94, f"Scoring it on {len(parts.test)} test rows")
            model = _facts(plan, problem, parts, out, predictor, cleaned)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report(100, "Finished", metrics=model.metrics)
    return Result(summary=_summary(model), model=model, record=_record(plan, problem, clock))


def _facts(plan: Plan, problem: Problem, parts: Split, out: Outputs, predictor: Any, cleaned: Any) -> ModelFacts:
    X_test, y_test = problem.X.iloc[parts.test], problem.y[parts.test]
    said = predict(out.model, X_test, y_test, problem)
    groups = None if problem.groups is None else problem.groups.iloc[parts.test].astype(str).to_numpy()
    metrics, held = score(said), intervals(said, groups)
    plain = _baseline(plan, problem, parts, metrics.get(plan.metric), groups)
    members = facts.leaderboard(predictor, plan.metric)
    return ModelFacts(
        model_type="automl",
        problem_type=problem.problem_type,
        primary_metric=plan.metric,
        metrics=metrics,
        intervals=held,
        validation_score=facts.validation_score(members, predictor.model_best),
        baseline=plain,
        architecture=facts.architecture(cleaned),
        hyperparameters={
            "quality": plan.quality,
            "seed": plan.seed,
            "weights": facts.member_weights(cleaned),
            "models": facts.hyperparameters(cleaned),
        },
        split_id=parts.split_id,
        n_train=len(parts.train),
        n_test=len(parts.test),
        n_combination=len(parts.combination),
        classes=problem.labels,
        warnings=[
            *problem.warnings,
            *about_split(problem, parts),
            *about_result(
                plan.metric,
                metrics,
                held,
                plain,
                n_test=len(parts.test),
                unused=problem.X.shape[1] - len(cleaned.features()),
            ),
        ],
        leaderboard=members,
    )


def _baseline(
    plan: Plan, problem: Problem, parts: Split, model_score: float | None, groups: np.ndarray[Any, Any] | None
) -> Baseline:
    plain = fit_plain(
        problem.X.iloc[parts.train],
        problem.y[parts.train],
        problem.X.iloc[parts.test],
        problem.y[parts.test],
        None if problem.classes is None else len(problem.classes),
        plan.seed,
    )
    return baseline(plain, plan.metric, model_score, groups)


def _check_train(problem: Problem, parts: Split) -> None:
    """Groups can keep a class out of training; one that is never shown cannot be learned."""
    if problem.classes is None:
        return
    missing = len(problem.classes) - len(np.unique(problem.y[parts.train]))
    if missing:
        raise JobRefused(
            ReasonCode.GROUPS_TOO_FEW,
            f"{missing} classes of the target column «{problem.target_column}» are in too few groups of "
            f"«{problem.group_column}» to be both learned and tested: add groups, or leave these classes out",
        )


def _limit_threads(n_cpus: int) -> None:
    import torch

    torch.set_num_threads(n_cpus)


def _summary(model: ModelFacts) -> str:
    """The metric that decided and, where that is no everyday one, accuracy beside it."""
    told = [_scored(model, name) for name in dict.fromkeys((model.primary_metric, "accuracy")) if name in model.metrics]
    if not told:
        return f"Trained {model.architecture}"
    return f"{', '.join(told)} on {model.n_test} test rows"


def _scored(model: ModelFacts, name: str) -> str:
    low, high = model.intervals.get(name, [float("nan")] * 2)
    return f"{name} {model.metrics[name]:.3g} ({low:.3g} to {high:.3g})"


def _record(plan: Plan, problem: Problem, clock: "Clock") -> dict[str, Any]:
    return {
        "seconds": clock.seconds,
        "packages": _packages(),
        "fit_seconds_allowed": plan.seconds,
        "n_features": problem.X.shape[1],
        "n_rows_dropped": problem.n_rows_dropped,
    }


def _packages() -> dict[str, str]:
    """Versions of what decides the numbers, as far as installed."""
    installed = {found.name.lower().replace(".", "-").replace("_", "-"): found.version for found in distributions()}
    return {name: installed[name] for name in _PACKAGES if name in installed}


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[phase] = round(time.monotonic() - begun, 3)
