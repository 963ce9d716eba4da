"""The AutoML handler: reads, splits, fits, packs, scores what was packed, and looks that no row is in it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from events.errors import ReasonCode
from events.outcomes import ModelFacts
from events.requests import AutomlRequested
from handlers.contract import Inputs, JobRefused, Outputs, Report, Result
from handlers.datasets.columns import quote
from handlers.datasets.problem import Problem
from handlers.datasets.target import load_problem
from handlers.evaluation import evaluate
from handlers.provenance import Clock, hardware, packages
from handlers.row_scan import refuse_rows
from handlers.splits import Split
from handlers.suspicions import duplicates, names_of_people_and_rows, suspicions

from . import facts
from .artifact import predict, write_artifact
from .cleaning import clean_clone
from .facts import Trained
from .fitting import Plan, fit, plan_replay, plan_search
from .objectives import objective
from .replay import check_plan, check_request


def run(request: AutomlRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Trains on the training rows of a dataset and leaves an MLflow model in `out.model`.

    Same request, data and cores: same numbers, unless the time limit cut the fit short. With `rerun_of` the recorded
    plan of that model is carried out again, without a clock.

    Raises:
        JobRefused: the data cannot be learned from as asked, no model came out (`training_failed`), the model cannot
            be made again (`plan_missing`), or the artifact holds rows (`row_in_artifact`).
    """
    clock = Clock()
    with clock("read"):
        report(0, "Reading the dataset")
        whole = _read(request, inputs)
        parts = whole.split()
        _check_train(whole, parts)
    with clock("suspicions"):
        doubts = [*suspicions(whole, parts.train), *duplicates(whole, parts)]
        problem = _without_names(request, whole, parts)
    plan = _plan(request, inputs, problem, parts)
    trained = _train(plan, problem, parts, out, report, clock)
    with clock("predict"):
        report(94, f"Scoring it on {len(parts.test)} test rows")
        said = predict(out.model, problem.X.iloc[parts.test], problem.y[parts.test], problem)
    found = evaluate(
        said,
        problem,
        parts,
        metric=plan.metric,
        leaderboard=trained.members,
        artifact=out.model,
        seed=plan.seed,
        doubts=doubts,
        clock=clock,
    )
    model = facts.model_facts(plan, problem, parts, trained, found, inputs)
    with clock("scan"):
        report(98, "Looking for rows in the artifact")
        scan = refuse_rows(out.model, whole)
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


def _read(request: AutomlRequested, inputs: Inputs) -> Problem:
    if inputs.dataset is None:
        raise JobRefused(ReasonCode.DATASET_UNKNOWN, "the request names no dataset that could be read")
    if inputs.recorded is not None:
        check_request(request, inputs.recorded, inputs.dataset)
    return load_problem(request, inputs.dataset)


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


def _without_names(request: AutomlRequested, problem: Problem, parts: Split) -> Problem:
    """Ids of patients and rows are no features, unless the request names them as such: they would stay as words."""
    if request.feature_columns is not None:
        return problem
    names = names_of_people_and_rows(problem, parts.train)
    kept = problem.X.drop(columns=names)
    if not names or not kept.shape[1]:
        return problem
    told = f"Not learned from, as they name patients or rows: {quote(names)}. Name them in feature_columns to use them"
    return replace(problem, X=kept, warnings=[*problem.warnings, told])


def _plan(request: AutomlRequested, inputs: Inputs, problem: Problem, parts: Split) -> Plan:
    target = objective(request.eval_metric, problem.problem_type)
    if request.rerun_of is None:
        return plan_search(request, problem, len(parts.train), target, inputs.limits)
    fitted = (inputs.recorded or {}).get("plan", {})
    check_plan(fitted, request.rerun_of)
    return plan_replay(fitted, target, inputs.limits)


def _train(plan: Plan, problem: Problem, parts: Split, out: Outputs, report: Report, clock: Clock) -> Trained:
    """Fits on the training rows, and leaves the packed model and nothing else."""
    work: Path = out.directory / "fit"
    try:
        _limit_threads(plan.options["num_cpus"])
        with clock("fit"):
            report(2, f"Training on {len(parts.train)} rows and {problem.X.shape[1]} columns")
            predictor = fit(plan, problem, parts.train, work / "all", report)
        with clock("pack"):
            report(90, "Packing the best model")
            fitted, members = plan.fitted(predictor), facts.leaderboard(predictor, plan.metric)
            cleaned = clean_clone(predictor, work / "predictor")
            write_artifact(cleaned, problem, out.model)
            return Trained(fitted, members, predictor.model_best, n_used=len(cleaned.features()))
    finally:
        shutil.rmtree(work, ignore_errors=True)


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
