"""Carries out a recorded plan again: the same models, each trained just as far, without a clock."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from events.errors import ReasonCode
from events.requests import AutomlRequested
from handlers.contract import DatasetFile, Inputs, JobRefused
from handlers.provenance import packages

from .fitted import VERSION, plain_name

#: No clock. A number all the same: with none, some models would take another way through their code.
NO_LIMIT_S = 1e8
_MOST_DIFFERENT = 1e-9
#: What of a request decides the numbers, beside the plan.
_DECISIVE = (
    "target_column", "feature_columns", "exclude_columns", "group_column", "problem_type", "eval_metric", "seed",
    "quality", "hyperparameter_tuning",
)  # fmt: skip

Settings = dict[str, Any]


def check_plan(plan: Mapping[str, Any], model_id: str) -> None:
    """Whether this version can replay what was recorded.

    Raises:
        JobRefused: `plan_missing`.
    """
    if plan.get("version") != VERSION or not plan.get("models"):
        raise JobRefused(
            ReasonCode.PLAN_MISSING,
            f"model {model_id} has no recorded plan that this version can replay: "
            "publish its request again under a new job_id, which searches anew",
        )


def check_request(request: AutomlRequested, recorded: Mapping[str, Any], dataset: DatasetFile) -> None:
    """Whether a request asks for the recorded model again, in every word that decides a number.

    Raises:
        JobRefused: `invalid_field`, naming the first word that differs.
    """
    if recorded["dataset_sha256"] != dataset.sha256:
        raise JobRefused(
            ReasonCode.INVALID_FIELD,
            f"rerun_of names a model of another dataset: send dataset_id {recorded['dataset_id']}",
        )
    for name in _DECISIVE:
        if getattr(request, name) != recorded["training_config"].get(name):
            raise JobRefused(
                ReasonCode.INVALID_FIELD,
                f"{name} is not what the model that rerun_of names was trained with: send that",
            )


def hyperparameters(plan: Mapping[str, Any]) -> dict[str, list[Settings]]:
    """AutoGluon's `hyperparameters` for exactly the recorded models, under their names and in their order."""
    chosen: dict[str, list[Settings]] = {}
    for number, model in enumerate(plan["models"]):
        settings = copy.deepcopy(model["hyperparameters"])
        settings |= _trained_once(model)
        settings["ag_args"] = {"name": model["name"], "priority": len(plan["models"]) - number}
        chosen.setdefault(model["family"], []).append(settings)
    return chosen


@contextmanager
def folds_trained_as(plan: Mapping[str, Any]) -> Iterator[None]:
    """While open, AutoGluon trains each fold of a bagged model as far as was recorded of it.

    There is no setting for a single fold, hence the patch of the one function that trains them.
    """
    from autogluon.core.models.ensemble.fold_fitting_strategy import SequentialLocalFoldFittingStrategy as Folds

    trained = {model["name"]: model["trained"] for model in plan["models"] if _is_bagged(model)}
    fit = Folds._fit

    def fit_as_recorded(
        self: Any, model_base: Any, time_start_fold: float, time_limit_fold: float, fold_ctx: Any, kwargs: Any
    ) -> Any:
        known = trained[plain_name(self.bagged_ensemble_model.name)][fold_ctx["model_name_suffix"]]
        fold = copy.deepcopy(model_base)
        fold._user_params.update(known)
        fold.params.update(known)
        return fit(self, fold, time_start_fold, time_limit_fold, fold_ctx, kwargs)

    with patch.object(Folds, "_fit", fit_as_recorded):
        yield


def differences(plan: Mapping[str, Any], replayed: Mapping[str, Any]) -> list[str]:
    """What a replay came to that the plan did not say, as sentences; empty when it is the same model again."""
    before = {model["name"]: model["trained"] for model in plan["models"]}
    after = {model["name"]: model["trained"] for model in replayed["models"]}
    if missing := [name for name in before if name not in after]:
        return [f"The replay could not train {', '.join(missing)} again"]
    found = []
    if changed := [name for name in before if before[name] != after[name]]:
        found.append(f"The replay trained {', '.join(changed)} to another length than recorded")
    if not _weigh_alike(plan["weights"], replayed["weights"]):
        found.append("The replay weighs its models differently")
    return found


def _weigh_alike(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    return before.keys() == after.keys() and all(abs(before[name] - after[name]) < _MOST_DIFFERENT for name in before)


def other_circumstances(inputs: Inputs) -> list[str]:
    """Sentences where the machine or what is installed is not what it was: the numbers may not come back."""
    assert inputs.recorded is not None, "only a replay is asked about"
    cpus = inputs.recorded["plan"]["options"]["num_cpus"]
    cores = [] if cpus == inputs.limits.cpus else [f"Replayed on {inputs.limits.cpus} cores in place of {cpus}"]
    return [*other_packages(inputs.recorded), *cores]


def other_packages(recorded: Mapping[str, Any]) -> list[str]:
    """A sentence where package versions are not those of the first run: its numbers may not come back."""
    before, now = recorded["environment"].get("packages", {}), packages()
    changed = [f"{name} {before[name]} → {now.get(name, 'none')}" for name in before if before[name] != now.get(name)]
    return [f"Replayed with other package versions than recorded: {', '.join(changed)}"] if changed else []


def _is_bagged(model: Mapping[str, Any]) -> bool:
    return any(isinstance(trained, Mapping) for trained in model["trained"].values())


def _trained_once(model: Mapping[str, Any]) -> Settings:
    """How far a model was trained that was fitted once: not bagged, or a forest, whose bags are its own."""
    if not _is_bagged(model):
        return dict(model["trained"])
    folds = list(model["trained"].values())
    return dict(folds[0]) if len(folds) == 1 else {}
