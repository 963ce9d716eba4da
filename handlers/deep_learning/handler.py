"""The deep-learning handler: reads, splits, fits a network, packs it, scores what was packed."""

import numpy as np
import torch

from events.errors import ReasonCode
from events.requests import DeepLearningRequested
from handlers.contract import Inputs, JobRefused, Outputs, Report, Result
from handlers.network_results import Trained, finish
from handlers.networks.table import TableEncoder
from handlers.objectives import objective
from handlers.preparation import Prepared, prepare
from handlers.provenance import Clock
from handlers.training.fit import fit
from handlers.training.rows import Rows, training_rows
from handlers.training.settings import Settings

from .building import check_shape, new_network

#: Metrics for which a rare class counts as much as a common one.
_BY_CLASS = ("balanced_accuracy", "f1", "mcc")


def run(request: DeepLearningRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Trains a network on the training rows of a dataset and leaves an MLflow model in `out.model`.

    Same request, data, cores and kind of processor: same numbers, however often the worker dies on the way.

    Raises:
        JobRefused: the data cannot be learned from as asked, the training `diverged`, or the artifact holds rows.
    """
    clock = Clock()
    torch.set_num_threads(inputs.limits.cpus)
    report(0, "Reading the dataset")
    prepared = prepare(request, inputs, clock)
    check_shape(request, prepared.problem.X.shape[1])
    table, rows = numbers(prepared)
    settings = settings_for(request, prepared)
    with clock("build"):
        report(2, f"Building {request.architecture} for {rows.X.shape[1]} features")
        network = new_network(request, rows)
    with clock("fit"):
        fitted = fit(network, rows, settings, out, report, percents=(3, 92))
    trained = Trained(
        fitted=fitted,
        table=table,
        settings=settings,
        model_type="deep_learning",
        architecture=request.architecture,
        hyperparameters=network.arguments()["encoder"],
    )
    return finish(trained, prepared, out, report, clock)


def numbers(prepared: Prepared) -> tuple[TableEncoder, Rows]:
    """The training rows as numbers, and what reads tables that way; all of it fitted on training rows alone."""
    problem, train = prepared.problem, prepared.parts.train
    X = problem.X.iloc[train]
    try:
        table = TableEncoder().fit(X)
    except ValueError as error:
        raise JobRefused(
            ReasonCode.NO_FEATURES,
            "no feature column holds numbers or repeating categories in the training rows: name other feature_columns",
        ) from error
    return table, training_rows(table.transform(X).astype(np.float32), problem, train)


def settings_for(request: DeepLearningRequested, prepared: Prepared) -> Settings:
    """How the network is fitted, as far as the request decides it."""
    metric, _ = objective(request.eval_metric, prepared.problem.problem_type)
    return Settings(
        epochs=request.epochs,
        batch_size=request.batch_size,
        learning_rate=request.learning_rate,
        seed=request.seed,
        metric=metric,
        weighted=metric in _BY_CLASS,
    )
