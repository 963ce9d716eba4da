"""The transfer-learning handler: an encoder from elsewhere, fitted further, beside the same network from scratch."""

import torch

from events.errors import OmniScopeError
from events.requests import TransferLearningRequested
from handlers.contract import Inputs, JobRefused, Outputs, Report, Result
from handlers.network_results import Trained, finish
from handlers.networks.table import TableEncoder
from handlers.numbers import numbers
from handlers.objectives import objective
from handlers.preparation import Prepared, prepare
from handlers.provenance import Clock
from handlers.shapes import IMAGE, check_shape
from handlers.training.rows import Rows
from handlers.training.settings import Settings

from .base_models import parse
from .cohorts import cohort_start
from .comparing import about_transfer, member, scores_on_test_rows
from .depths import depths
from .fine_tuning import FineTuning
from .pretrained import vision_start
from .starts import Start

_BATCH_SIZE = 32
_LEARNING_RATE = 0.001
#: Where in the job, in percent, fine-tuning begins and ends, and where the comparison ends.
_BEGINS, _COMPARES, _ENDS = 4.0, 60.0, 92.0


def run(request: TransferLearningRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Fine-tunes a base model on the training rows of a dataset and leaves an MLflow model in `out.model`.

    Beside it the same network is trained from scratch: its scores stand in the result, and a warning where transfer
    did not pay.

    Raises:
        JobRefused: the data cannot be learned from as asked, the base model does not fit them (`model_unsuitable`),
            its weights are not what they should be (`weights_refused`), or the training `diverged`.
    """
    clock = Clock()
    torch.set_num_threads(inputs.limits.cpus)
    report(0, "Reading the dataset")
    prepared = prepare(request, inputs, clock)
    table, rows = numbers(prepared)
    with clock("build"):
        report(2, f"Reading the base model {request.base_model}")
        start = _start(request, inputs, table, rows, prepared)
    tuning = FineTuning(start, rows, _settings(request, prepared), out, report)
    with clock("fit"):
        depth, fitted, tried = tuning.best(depths(request, start), _BEGINS, _COMPARES)
    metric, n_blocks = tuning.settings.metric, tuning.n_blocks
    others = [member(f"{tried_depth} of {n_blocks} blocks trained", score) for tried_depth, score in tried.items()]
    warnings, beside = list(start.told), {}
    if not start.is_random:
        with clock("from scratch"):
            scratch = tuning.from_scratch(_COMPARES, _ENDS)
        theirs = scores_on_test_rows(scratch.network, table, prepared)
        ours = scores_on_test_rows(fitted.network, table, prepared)
        warnings += about_transfer(metric, ours, theirs)
        others.append(member("from scratch", scratch.validation_score))
        beside = {"from_scratch": theirs}
    trained = Trained(
        fitted=fitted,
        table=table,
        settings=tuning.settings_at(depth),
        model_type="transfer_learning",
        architecture=f"{start.architecture}, {depth} of {n_blocks} blocks trained,",
        hyperparameters={"base_model": request.base_model, "fine_tuned_layers": depth, **beside},
        warnings=warnings,
        others=others,
    )
    return finish(trained, prepared, out, report, clock)


def _start(
    request: TransferLearningRequested, inputs: Inputs, table: TableEncoder, rows: Rows, prepared: Prepared
) -> Start:
    try:
        base = parse(request.base_model)
    except OmniScopeError as refusal:
        raise JobRefused(refusal.reason, refusal.message) from refusal
    if base.source == "job":
        return cohort_start(base.name, request.base_model, inputs, table, prepared.problem)
    check_shape(request.input_shape, rows.X.shape[1], IMAGE)
    is_random = request.weights == "random"
    return vision_start(base, inputs.weights, rows, seed=request.seed, is_random=is_random, shape=request.input_shape)


def _settings(request: TransferLearningRequested, prepared: Prepared) -> Settings:
    metric, _ = objective(request.eval_metric, prepared.problem.problem_type)
    return Settings(
        epochs=request.epochs,
        batch_size=request.batch_size or _BATCH_SIZE,
        learning_rate=request.learning_rate or _LEARNING_RATE,
        seed=request.seed,
        metric=metric,
    )
