"""Which models are tried, and with which settings: AutoGluon's own lists, changed where that protects data or time."""

import copy
from typing import Any

from events.requests import AutomlRequested
from handlers.datasets.problem import Problem, ProblemType

Hyperparameters = dict[str, list[dict[str, Any]]]

#: Families that are kept. KNN stores every training row; FASTAI and the like are not installed.
_FAMILIES = ("LR", "GBM", "CAT", "XGB", "RF", "XT", "NN_TORCH")
_SEEDS = {
    "LR": "random_state",
    "GBM": "seed",
    "CAT": "random_seed",
    "XGB": "seed",
    "RF": "random_state",
    "XT": "random_state",
    "NN_TORCH": "seed_value",
}
#: Left to itself CatBoost takes most of a small job's time for its last trees; of many classes each tree costs more.
_CATBOOST_ITERATIONS: dict[ProblemType, int] = {"binary": 500, "regression": 500, "multiclass": 200}
#: So large that no column is put through quantiles, which are the sorted training values.
_NEVER_SKEWED = 1e12
#: A leaf of a regression forest holds the mean target of its rows: of one row, that is the row's value.
_REGRESSION_LEAF_ROWS = 5
#: Up to here the models of the folds are the model, their mean. One model refitted on all rows is smaller, but it is
#: trained for the mean length of its folds: where one fold of a small table went on for thousands of rounds, that is
#: far too long, and its probabilities are far too sure.
_MOST_ROWS_IN_FOLDS = 5000
_TRIALS = 5
#: The inverse strength of the penalty, what a model of it is called, and its turn.
_PENALTIES = ((1.0, "", 999), (0.1, "Strong", 998), (0.01, "Stronger", 50))
_MOST_LINEAR_ITERATIONS, _FEWEST_LINEAR_ITERATIONS, _LINEAR_CELLS = 199, 20, 2_000_000_000

_PORTFOLIOS = {"medium": "default", "good": "light", "high": "zeroshot", "best": "zeroshot"}


def quality_of(request: AutomlRequested) -> str:
    """medium, good, high or best."""
    return request.quality.removesuffix("_quality")


def hyperparameters_for(
    quality: str, problem: Problem, n_train: int, seed: int, *, tuned: bool = False
) -> Hyperparameters:
    """AutoGluon's `hyperparameters`, with one entry a model that will be tried.

    Logistic regression (ridge for numbers) comes first, mildly and strongly penalised: on small wide tables it is
    often the best of all. Where settings are `tuned`, the strength is searched for.
    """
    from autogluon.tabular.configs.hyperparameter_configs import get_hyperparameter_config

    problem_type = problem.problem_type
    listed = {
        "LR": _linear_models(_linear_iterations(n_train * problem.X.shape[1]), tuned),
        **get_hyperparameter_config(_PORTFOLIOS[quality]),
    }
    chosen: Hyperparameters = {}
    for family in _FAMILIES:
        configs = listed.get(family, [])
        kept = [config for config in (configs if isinstance(configs, list) else [configs]) if isinstance(config, dict)]
        kept = [_careful(family, config, problem_type, seed) for config in kept if _fits(config, problem_type)]
        if kept:
            chosen[family] = kept
    return chosen


def n_models(hyperparameters: Hyperparameters) -> int:
    """How many models will be tried, ensembles of them not counted."""
    return sum(len(configs) for configs in hyperparameters.values())


def _linear_models(max_iter: int, tuned: bool) -> list[dict[str, Any]]:
    if tuned:
        return [{"max_iter": max_iter, "ag_args": {"priority": _PENALTIES[0][2]}}]
    return [
        {"C": penalty, "max_iter": max_iter, "ag_args": {"name_suffix": suffix, "priority": priority}}
        for penalty, suffix, priority in _PENALTIES
    ]


def _linear_iterations(n_cells: int) -> int:
    """Fewer on large tables, so that the time stays within seconds.

    Below 200 AutoGluon fits it in one go. From there on it would look at the clock in the middle, and what comes out
    then cannot be replayed to the last digit.
    """
    return max(_FEWEST_LINEAR_ITERATIONS, min(_MOST_LINEAR_ITERATIONS, _LINEAR_CELLS // max(1, n_cells)))


def fit_options(request: AutomlRequested, n_train: int, n_cpus: int, n_gpus: int) -> dict[str, Any]:
    """Arguments for `TabularPredictor.fit` that follow from quality, rows and resources.

    One layer of models under one weighted ensemble, whatever the quality: a second layer pays on large data
    alone, and what a weighted sum says can be explained exactly.
    """
    from autogluon.core.utils.utils import default_holdout_frac

    quality = quality_of(request)
    options: dict[str, Any] = {
        "num_cpus": n_cpus,
        "num_gpus": n_gpus,
        "num_stack_levels": 0,
        "dynamic_stacking": False,
        "calibrate": False,  # a temperature would make the ensemble no weighted sum
        "fit_strategy": "sequential",
        "excluded_model_types": ["KNN"],
        # Words of free text would be kept in the artifact as a vocabulary.
        "_feature_generator_kwargs": {
            "enable_text_ngram_features": False,
            "enable_text_special_features": False,
            "enable_raw_text_features": False,
        },
    }
    if quality == "medium":
        # Said outright: AutoGluon holds out more rows for a search of settings than for its replay.
        options["holdout_frac"] = default_holdout_frac(n_train, request.hyperparameter_tuning)
    else:
        options |= {"auto_stack": True, "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"}}
    if quality in ("good", "high") and n_train > _MOST_ROWS_IN_FOLDS:
        options |= {"refit_full": "best", "set_best_to_refit_full": True, "save_bag_folds": False}
    if request.hyperparameter_tuning:
        options["hyperparameter_tune_kwargs"] = {"scheduler": "local", "searcher": "random", "num_trials": _TRIALS}
    return options


def _fits(config: dict[str, Any], problem_type: ProblemType) -> bool:
    return problem_type in config.get("ag_args", {}).get("problem_types", [problem_type])


def _careful(family: str, config: dict[str, Any], problem_type: ProblemType, seed: int) -> dict[str, Any]:
    config = {**copy.deepcopy(config), _SEEDS[family]: seed}
    if family == "CAT":
        most = _CATBOOST_ITERATIONS[problem_type]
        config["iterations"] = min(most, config.get("iterations", most))
    if family == "NN_TORCH":
        # Its trials would start a cluster of Ray's own, sockets and all, where Ray is installed.
        config["ag_args"] = {**config.get("ag_args", {}), "hyperparameter_tune_kwargs": None}
    if family in ("LR", "NN_TORCH"):
        # Of an odd number of rows the median of a column is a cell of one of them.
        config["proc.impute_strategy"] = "mean"
    if family == "LR":
        config["proc.skew_threshold"] = None  # as the next, and no column's skewness is reckoned
    if family == "NN_TORCH":
        config["proc.skew_threshold"] = _NEVER_SKEWED
    if family == "XGB":
        # Cuts between two values; the histogram method cuts at values of training rows.
        config["tree_method"] = "exact"
    if family in ("RF", "XT") and problem_type == "regression":
        config["min_samples_leaf"] = max(_REGRESSION_LEAF_ROWS, config.get("min_samples_leaf", 1))
    return config
