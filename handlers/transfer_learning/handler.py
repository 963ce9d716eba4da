"""The transfer-learning handler: an encoder from elsewhere, fitted further, beside the same network from scratch."""

import torch

from events.errors import OmniScopeError, ReasonCode
from events.requests import TransferLearningRequested
from handlers.contract import Inputs, JobRefused, Outputs, Report, Result
from handlers.network_jobs.numbers import numbers
from handlers.network_jobs.results import Trained, finish
from handlers.network_jobs.shapes import IMAGE, check_shape
from handlers.networks.table import TableEncoder
from handlers.objectives import objective
from handlers.preparation import Prepared, prepare
from handlers.provenance import Clock
from handlers.training.rows import Rows
from handlers.training.settings import Settings

from .base_models import parse
from .cohorts import cohort_start
from .comparing import compare, members
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
        start = start_of(request, inputs, table, rows, prepared)
    tuning = FineTuning(start, rows, _settings(request, prepared), out, report)
    with clock("fit"):
        fits = tuning.to_depths(depths(request, start), _BEGINS, _COMPARES)
    depth = tuning.best_of(fits)
    scratch = None
    if not start.is_random:
        with clock("from scratch"):
            scratch = tuning.from_scratch(_COMPARES, _ENDS)
    metric, n_blocks = tuning.settings.metric, tuning.n_blocks
    base = start.as_it_stands(fits[depth].network)
    compared = compare(fits[depth], scratch, base, table, prepared, tuning.settings)
    named = {f"{tried} of {n_blocks} blocks trained": fitted for tried, fitted in fits.items()}
    trained = Trained(
        fitted=fits[depth],
        table=table,
        settings=tuning.settings_at(depth),
        model_type="transfer_learning",
        architecture=f"{start.architecture}, {depth} of {n_blocks} blocks trained,",
        hyperparameters={"base_model": request.base_model, "fine_tune_layers": depth},
        warnings=[*start.told, *compared.warnings],
        others=members(named | ({"from scratch": scratch} if scratch else {}), metric),
        beside=compared.beside,
        note=compared.note,
    )
    return finish(trained, prepared, out, report, clock)


def start_of(
    request: TransferLearningRequested, inputs: Inputs, table: TableEncoder, rows: Rows, prepared: Prepared
) -> Start:
    """Where the fine-tuning that a request means starts from.

    Raises:
        JobRefused: see `run`.
    """
    try:
        base = parse(request.base_model)
    except OmniScopeError as refusal:
        raise JobRefused(refusal.reason, refusal.message) from refusal
    if base.source == "job":
        _refuse_what_networks_of_jobs_have(request)
        return cohort_start(base.name, request.base_model, inputs, table, prepared)
    check_shape(request.input_shape, rows.X.shape[1], IMAGE)
    is_random = request.weights == "random"
    return vision_start(base, inputs.weights, rows, seed=request.seed, is_random=is_random, shape=request.input_shape)


def _refuse_what_networks_of_jobs_have(request: TransferLearningRequested) -> None:
    if request.weights == "random":
        raise JobRefused(
            ReasonCode.INVALID_FIELD,
            "weights is random, but base_model names a network of an earlier job: leave weights out, or send a "
            "deep-learning request with its architecture",
        )
    if request.input_shape is not None:
        raise JobRefused(
            ReasonCode.INVALID_FIELD,
            "input_shape is for vision networks: a network of an earlier job has its own, leave it out",
        )


def _settings(request: TransferLearningRequested, prepared: Prepared) -> Settings:
    metric, _ = objective(request.eval_metric, prepared.problem.problem_type)
    return Settings(
        epochs=request.epochs,
        batch_size=request.batch_size or _BATCH_SIZE,
        learning_rate=request.learning_rate or _LEARNING_RATE,
        seed=request.seed,
        metric=metric,
    )
