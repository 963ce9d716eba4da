"""The AutoML handler: reads, splits, fits, packs, scores what was packed, and looks that no row is in it."""

import shutil
from pathlib import Path

from events.requests import AutomlRequested
from handlers.contract import Inputs, Outputs, Report, Result
from handlers.datasets.problem import Problem
from handlers.evaluation import evaluate, summary
from handlers.objectives import objective
from handlers.preparation import prepare
from handlers.provenance import Clock, hardware, packages
from handlers.row_scan import refuse_rows
from handlers.splits import Split

from . import facts
from .artifact import predict, write_artifact
from .cleaning import clean_clone
from .facts import Trained
from .fitting import Plan, fit, plan_replay, plan_search
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
    report(0, "Reading the dataset")
    if inputs.recorded is not None and inputs.dataset is not None:
        check_request(request, inputs.recorded, inputs.dataset)
    prepared = prepare(request, inputs, clock)
    problem, parts = prepared.problem, prepared.parts
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
        doubts=prepared.doubts,
        clock=clock,
    )
    model = facts.model_facts(plan, problem, parts, trained, found, inputs)
    with clock("scan"):
        report(98, "Looking for rows in the artifact")
        scan = refuse_rows(out.model, prepared.whole)
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
    return Result(summary=summary(model), model=model, record=record)


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
