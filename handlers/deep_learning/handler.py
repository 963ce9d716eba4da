"""The deep-learning handler: reads, splits, fits a network, packs it, scores what was packed."""

import torch

from events.requests import DeepLearningRequested
from handlers.contract import Inputs, Outputs, Report, Result
from handlers.network_jobs.numbers import numbers
from handlers.network_jobs.results import Trained, finish
from handlers.network_jobs.shapes import IMAGE, SERIES, check_shape
from handlers.objectives import objective
from handlers.preparation import Prepared, prepare
from handlers.provenance import Clock
from handlers.training.fit import fit
from handlers.training.settings import Settings

from .building import new_network


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
    table, rows = numbers(prepared)
    check_shape(request.input_shape, rows.X.shape[1], IMAGE if request.architecture == "cnn_2d" else SERIES)
    settings = _settings(request, prepared)
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


def _settings(request: DeepLearningRequested, prepared: Prepared) -> Settings:
    """How the network is fitted, as far as the request decides it."""
    metric, _ = objective(request.eval_metric, prepared.problem.problem_type)
    return Settings(
        epochs=request.epochs,
        batch_size=request.batch_size,
        learning_rate=request.learning_rate,
        seed=request.seed,
        metric=metric,
    )
