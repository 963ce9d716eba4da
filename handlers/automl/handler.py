"""The AutoML handler: reads, splits, fits, packs, scores what was packed, and looks that no row is in it."""

import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from events.errors import ReasonCode
from events.outcomes import ModelFacts
from events.requests import AutomlRequested
from handlers.contract import Inputs, JobRefused, Outputs, Report, Result
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.evaluation import Evaluation, evaluate
from handlers.record import Clock, hardware, packages
from handlers.row_scan import refuse_rows
from handlers.splits import Split

from . import facts
from .artifact import predict, write_artifact
from .cleaning import clean_clone
from .fitting import Plan, fit, plan_replay, plan_search
from .objectives import objective
from .replay import check_plan, check_request, differences, other_packages


def run(request: AutomlRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Trains on the training rows of a dataset and leaves an MLflow model in `out.model`.

    Same request, data and cores: same numbers, unless the time limit cut the fit short. With `rerun_of` the recorded
    plan of that model is carried out again, without a clock.

    Raises:
        JobRefused: the data cannot be learned from as asked, no model came out (`training_failed`), the model cannot
            be made again (`plan_missing`), or the artifact holds rows (`row_in_artifact`).
    """
    if inputs.dataset is None:
        raise JobRefused(ReasonCode.DATASET_UNKNOWN, "the request names no dataset that could be read")
    clock = Clock()
    with clock("read"):
        report(0, "Reading the dataset")
        if inputs.recorded is not None:
            check_request(request, inputs.recorded, inputs.dataset)
        problem = load_problem(request, inputs.dataset)
        parts = problem.split()
        _check_train(problem, parts)
        plan = _plan(request, inputs, problem, parts)
    work = out.directory / "fit"
    try:
        _limit_threads(plan.options["num_cpus"])
        with clock("fit"):
            report(2, f"Training on {len(parts.train)} rows and {problem.X.shape[1]} columns")
            predictor = fit(plan, problem, parts.train, work / "all", report)
        with clock("pack"):
            report(90, "Packing the best model")
            fitted = plan.fitted(predictor)
            members = facts.leaderboard(predictor, plan.metric)
            cleaned = clean_clone(predictor, work / "predictor")
            write_artifact(cleaned, problem, out.model)
        with clock("predict"):
            report(94, f"Scoring it on {len(parts.test)} test rows")
            said = predict(out.model, problem.X.iloc[parts.test], problem.y[parts.test], problem)
        found = evaluate(
            said,
            problem,
            parts,
            metric=plan.metric,
            leaderboard=members,
            artifact=out.model,
            seed=plan.seed,
            clock=clock,
        )
        model = _facts(plan, problem, parts, fitted, members, predictor.model_best, cleaned, found, inputs.recorded)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with clock("scan"):
        report(98, "Looking for rows in the artifact")
        scan = refuse_rows(out.model, problem)
    report(100, "Finished", metrics=model.metrics)
    record = {
        "seconds": clock.seconds,
        "packages": packages(),
        "hardware": hardware(),
        "fit_seconds_allowed": plan.seconds,
        "n_features": problem.X.shape[1],
        "n_rows_dropped": problem.n_rows_dropped,
        "scan": scan.as_record(),
    }
    return Result(summary=_summary(model), model=model, record=record)


def _plan(request: AutomlRequested, inputs: Inputs, problem: Problem, parts: Split) -> Plan:
    target = objective(request.eval_metric, problem.problem_type)
    if request.rerun_of is None:
        return plan_search(request, problem, len(parts.train), target, inputs.limits)
    recorded = (inputs.recorded or {}).get("plan", {})
    check_plan(recorded, request.rerun_of)
    return plan_replay(recorded, target)


def _facts(
    plan: Plan,
    problem: Problem,
    parts: Split,
    fitted: dict[str, Any],
    members: list[dict[str, Any]],
    best: str,
    cleaned: Any,
    found: Evaluation,
    recorded: Mapping[str, Any] | None,
) -> ModelFacts:
    return ModelFacts(
        model_type="automl",
        problem_type=problem.problem_type,
        primary_metric=plan.metric,
        metrics=found.metrics,
        intervals=found.intervals,
        validation_score=facts.validation_score(members, best),
        baseline=found.baseline,
        architecture=facts.architecture(best, fitted["weights"]),
        hyperparameters=facts.hyperparameters(plan.quality, fitted, best),
        split_id=parts.split_id,
        n_train=len(parts.train),
        n_test=len(parts.test),
        n_combination=len(parts.combination),
        classes=problem.labels,
        warnings=[
            *(differences(plan.recorded, fitted) if plan.recorded else []),
            *(other_packages(recorded) if recorded else []),
            *found.warnings,
            *facts.about_unused(problem.X.shape[1] - len(cleaned.features())),
        ],
        leaderboard=members,
        pictures=found.pictures,
        plan=fitted,
    )


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
