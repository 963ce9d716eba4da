"""One member trained again, as recorded, on some of the training rows, and asked about others."""

import shutil
from collections.abc import Callable
from dataclasses import fields

import numpy as np

from events.errors import OmniScopeError
from events.requests import AutomlRequested, DeepLearningRequested, TrainingRequested, TransferLearningRequested
from handlers.contract import Inputs, Outputs, Report
from handlers.metrics import Predictions
from handlers.network_jobs.numbers import numbers
from handlers.network_jobs.results import on_test_rows
from handlers.objectives import objective
from handlers.preparation import Prepared, prepare
from handlers.provenance import Clock
from handlers.training.settings import Settings
from handlers.transfer_learning.base_models import parse

from .combining import Floats
from .recipes import Recipe


def why_not(leaf: Recipe, prepared: Prepared, inputs: Inputs) -> str | None:
    """Why a model cannot be trained again here, as the end of a sentence; None where it can."""
    if leaf.model_type == "automl":
        from handlers.automl.fitted import VERSION

        is_known = leaf.plan.get("version") == VERSION and leaf.plan.get("models")
        return None if is_known else "what it came down to was not recorded"
    if any(field.name not in leaf.hyperparameters for field in fields(Settings)):
        return "its settings were not recorded"
    return _why_no_base(leaf, prepared, inputs) if leaf.model_type == "transfer_learning" else None


def _why_no_base(leaf: Recipe, prepared: Prepared, inputs: Inputs) -> str | None:
    try:
        base = parse(leaf.config["base_model"])
    except OmniScopeError as refusal:
        return refusal.message
    if base.source == "job":
        files = inputs.models.get(base.name)
        if files is None:
            return "the model that it was fine-tuned from is not here"
        if files.facts.get("dataset_sha256") == prepared.problem.dataset_sha256:
            return "the model that it was fine-tuned from has learned from these very rows"
        return None
    if leaf.config.get("weights") == "random":
        return None
    is_here = inputs.weights is not None and inputs.weights.name == str(base)
    return None if is_here else "the weights that it was fine-tuned from are not here"


def prepared_for(leaf: Recipe, inputs: Inputs) -> Prepared:
    """The member's own problem, as it was when it was trained."""
    return prepare(REQUESTS[leaf.model_type].model_validate(leaf.config), inputs, Clock())


def _automl(leaf: Recipe, prepared: Prepared, inputs: Inputs, out: Outputs, report: Report) -> Floats:
    """Its recorded plan without a clock."""
    import torch

    from handlers.automl.fitting import fit, plan_replay

    torch.set_num_threads(inputs.limits.cpus)
    request = AutomlRequested.model_validate(leaf.config)
    problem, parts = prepared.problem, prepared.parts
    plan = plan_replay(leaf.plan, objective(request.eval_metric, problem.problem_type), inputs.limits)
    work = out.directory / "again"
    try:
        predictor = fit(plan, problem, parts.train, work, report)
        X = problem.X.iloc[parts.test]
        if problem.classes is None:
            return np.asarray(predictor.predict(X, as_pandas=False), dtype=float)
        said = predictor.predict_proba(X, as_pandas=True, as_multiclass=True)
        return np.asarray(said.reindex(columns=range(len(problem.classes)), fill_value=0.0), dtype=float)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _network(leaf: Recipe, prepared: Prepared, inputs: Inputs, out: Outputs, report: Report) -> Floats:
    """The same architecture with the same settings."""
    import torch

    from handlers.deep_learning.building import new_network
    from handlers.training.fit import fit

    torch.set_num_threads(inputs.limits.cpus)
    request = DeepLearningRequested.model_validate(leaf.config)
    table, rows = numbers(prepared)
    fitted = fit(new_network(request, rows), rows, _settings(leaf), out, report)
    return _plain(on_test_rows(fitted.network, table, prepared))


def _transferred(leaf: Recipe, prepared: Prepared, inputs: Inputs, out: Outputs, report: Report) -> Floats:
    """From the same base, to the depth that was chosen."""
    import torch

    from handlers.transfer_learning.fine_tuning import FineTuning
    from handlers.transfer_learning.handler import start_of

    torch.set_num_threads(inputs.limits.cpus)
    request = TransferLearningRequested.model_validate(leaf.config)
    table, rows = numbers(prepared)
    depth = int(leaf.hyperparameters["fine_tune_layers"])
    start = start_of(request, inputs, table, rows, prepared)
    tuning = FineTuning(start, rows, _settings(leaf), out, report)
    return _plain(on_test_rows(tuning.to_depths([depth], 0.0, 100.0)[depth].network, table, prepared))


REQUESTS: dict[str, type[TrainingRequested]] = {
    "automl": AutomlRequested,
    "deep_learning": DeepLearningRequested,
    "transfer_learning": TransferLearningRequested,
}
#: Model type → how such a model is trained again on the training rows of a problem, and what it says of the test rows.
AGAIN: dict[str, Callable[[Recipe, Prepared, Inputs, Outputs, Report], Floats]] = {
    "automl": _automl,
    "deep_learning": _network,
    "transfer_learning": _transferred,
}


def _settings(leaf: Recipe) -> Settings:
    return Settings(**{field.name: leaf.hyperparameters[field.name] for field in fields(Settings)})


def _plain(said: Predictions) -> Floats:
    return said.predicted if said.probabilities is None else said.probabilities
