"""One AutoGluon fit on training rows alone."""

import logging
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.contract import JobRefused, Limits, Report
from handlers.datasets.problem import Problem

from . import replay, wide
from .fitted import fitted_plan
from .portfolio import Hyperparameters, fit_options, hyperparameters_for, n_models, quality_of
from .progress import FitProgress
from .rounds import rounds_counted

log = logging.getLogger(__name__)

#: What the fit gets of the time limit. AutoGluon looks at the clock between models and refits after the last look.
_FIT_SHARE = 0.9
_FIT_SHARE_BEFORE_REFIT = 0.75


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a fit, the data apart. `replayed`: the recorded plan that is carried out again."""

    quality: str
    metric: str
    autogluon_metric: str
    hyperparameters: Hyperparameters
    seconds: float
    options: dict[str, Any]
    seed: int
    replayed: Mapping[str, Any] | None = None

    def fitted(self, predictor: Any) -> dict[str, Any]:
        """What the fit came down to, as JSON data."""
        return fitted_plan(predictor, {"quality": self.quality, "seed": self.seed, "options": self.options})


def plan_search(
    request: AutomlRequested, problem: Problem, n_train: int, objective: tuple[str, str], limits: Limits
) -> Plan:
    """The plan of a search for the best model within the request's time, on a machine with these limits."""
    quality = quality_of(request)
    options = fit_options(request, n_train, limits.cpus, limits.gpus)
    share = _FIT_SHARE_BEFORE_REFIT if options.get("refit_full") else _FIT_SHARE
    allowed = min(request.time_limit, limits.seconds or request.time_limit)
    tuned = request.hyperparameter_tuning
    hyperparameters = hyperparameters_for(quality, problem, n_train, request.seed, tuned=tuned)
    return Plan(quality, *objective, hyperparameters, share * allowed, options, request.seed)


def plan_replay(fitted: Mapping[str, Any], objective: tuple[str, str], limits: Limits) -> Plan:
    """The plan that makes a recorded model again, without a clock, within what this job may use."""
    options = {name: value for name, value in fitted["options"].items() if name != "hyperparameter_tune_kwargs"}
    options |= {"num_cpus": limits.cpus, "num_gpus": limits.gpus, "fit_weighted_ensemble": bool(fitted["weights"])}
    return Plan(
        fitted["quality"],
        *objective,
        replay.hyperparameters(fitted),
        replay.NO_LIMIT_S,
        options,
        fitted["seed"],
        fitted,
    )


def fit(plan: Plan, problem: Problem, train: np.ndarray[Any, Any], directory: Path, report: Report) -> Any:
    """A fitted `TabularPredictor`; its labels are class codes. It has seen the rows `train` and no others.

    Raises:
        JobRefused: `training_failed`, where no model came out of it.
    """
    from autogluon.core.utils.exceptions import TimeLimitExceeded
    from autogluon.tabular import TabularPredictor

    table, group = _training_table(problem, train)
    progress = FitProgress(report, plan.metric, n_models(plan.hyperparameters), plan.seconds)
    predictor = TabularPredictor(
        label=problem.target_column,
        problem_type=problem.problem_type,
        eval_metric=plan.autogluon_metric,
        path=str(directory),
        verbosity=0,
        log_to_file=False,
        learner_kwargs={
            "random_state": plan.seed,
            "label_count_threshold": 1,  # ten by default: rarer classes would vanish without a word
            "ignored_columns": [group] if group else [],
        },
    )
    try:
        # Libraries warn about each other's versions, model by model: nothing that a reader could act on.
        as_recorded = replay.folds_trained_as(plan.replayed) if plan.replayed else nullcontext()
        with warnings.catch_warnings(), wide.quick_lookups(), rounds_counted(), as_recorded:
            warnings.simplefilter("ignore")
            predictor.fit(
                table,
                time_limit=plan.seconds,
                hyperparameters=plan.hyperparameters,
                callbacks=[progress],
                validation_structure={"group_on": group} if group else None,
                **(plan.options | wide.fit_options(problem.X)),
            )
    except (RuntimeError, TimeLimitExceeded, AssertionError) as error:
        # AutoGluon asserts that there is time left; any other assertion is nothing that a person could mend.
        if isinstance(error, AssertionError) and not progress.time_is_up:
            raise
        raise _nothing_trained(predictor, progress, plan) from error
    if not predictor.model_names():
        raise _nothing_trained(predictor, progress, plan)
    return predictor


def _training_table(problem: Problem, train: np.ndarray[Any, Any]) -> tuple[pd.DataFrame, str | None]:
    """The rows to learn from with the target's codes, and the name of the column that holds their groups, if any."""
    X = problem.X.iloc[train]
    beside = {problem.target_column: problem.y[train]}
    if problem.groups is not None:
        assert problem.group_column is not None
        beside[problem.group_column] = pd.factorize(problem.groups.iloc[train].astype(str), sort=True)[0]
    table: pd.DataFrame = pd.concat([X, pd.DataFrame(beside, index=X.index)], axis="columns")
    return table.reset_index(drop=True), problem.group_column


def _nothing_trained(predictor: Any, progress: FitProgress, plan: Plan) -> JobRefused:
    if progress.stopped:
        return JobRefused(ReasonCode.TRAINING_FAILED, "the training was stopped before its first model was finished")
    causes = _causes(predictor)
    log.warning("no model was trained", extra={"causes": causes})
    if causes - {"TimeLimitExceeded"}:
        return JobRefused(
            ReasonCode.TRAINING_FAILED,
            f"no model could be trained on these columns ({', '.join(sorted(causes))}): "
            "exclude columns with unusual types, or ask for another eval_metric",
        )
    return JobRefused(
        ReasonCode.TRAINING_FAILED,
        f"no model was finished in the {plan.seconds:.3g} s that a fit gets of time_limit: allow more time",
    )


def _causes(predictor: Any) -> set[str]:
    """Names of the exceptions that ended models; their texts may quote cells."""
    try:
        failures = predictor.model_failures()
    except (AssertionError, AttributeError, FileNotFoundError):  # it did not get as far as having a trainer
        return set()
    return set(failures["exc_type"]) if "exc_type" in failures else set()
