"""From cohort to cohort: an encoder that an earlier job trained, for the columns of a new dataset."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from events.errors import ReasonCode
from handlers.contract import Inputs, JobRefused
from handlers.datasets.problem import Problem
from handlers.network_jobs.artifact import saved_in
from handlers.networks.aligned import Aligned
from handlers.networks.network import Network
from handlers.networks.saved import load
from handlers.networks.table import TableEncoder
from handlers.preparation import Prepared
from handlers.training.linear import Linear

from .genes import align, require_enough
from .starts import Start

_OVERLAP = (
    "Whether both datasets share patients was not looked at: make sure that none is in both, or the test rows here are "
    "no test"
)
_NETWORKS = ("deep_learning", "transfer_learning")


def cohort_start(model_id: str, base_model: str, inputs: Inputs, table: TableEncoder, prepared: Prepared) -> Start:
    """The encoder of model `model_id`, its features found among the columns of `table` by name.

    Where both answer the same question, its head and its linear path go along: what it says is not unlearned.

    Raises:
        JobRefused: `model_unsuitable`; `model_unknown`, there is no such model here.
    """
    files = inputs.models.get(model_id)
    if files is None:
        raise JobRefused(ReasonCode.MODEL_UNKNOWN, f"base_model «{base_model}» is not here: send the id of a model")
    if files.facts.get("model_type") not in _NETWORKS:
        raise _unsuitable(base_model, f"is of the type {files.facts.get('model_type')}: name a network's")
    is_same_data = _is_same_data(files.facts, prepared, base_model)
    network, its_table, about = _loaded(files.path, base_model)
    alignment = align(its_table.names, table.names)
    require_enough(alignment, base_model)
    places = alignment.numbers()
    encoder = Aligned.around(network.encoder, places, len(table.names))
    architecture = f"{base_model} ({_innermost(network.encoder.name, network.encoder.arguments)})"
    told = [*alignment.sentences(), *([] if is_same_data else [_OVERLAP])]
    if float(network.mix) == 0:
        told.append("In the base model's own answer its network has no part: it may have little to give")
    order = _order(about, prepared.problem)
    if order is None:
        return Start(encoder, None, architecture, told)
    head = {name: value[order] for name, value in network.head.state_dict().items()}
    told.append("The base model answers the same question: its answer is where training starts")
    # On its own data the base model's linear path has seen the rows that validate.
    linear = None if is_same_data else _linear(network, places, order, len(table.names))
    return Start(encoder, head, architecture, told, linear=linear, mix=float(network.mix))


def _is_same_data(facts: Mapping[str, Any], prepared: Prepared, base_model: str) -> bool:
    """Whether the base model learned from this very dataset, on the same rows.

    Raises:
        JobRefused: `model_unsuitable`, from this dataset but other rows: those that test now among them.
    """
    if facts.get("dataset_sha256") != prepared.problem.dataset_sha256:
        return False
    if facts.get("split_id") == prepared.parts.split_id:
        return True
    raise _unsuitable(
        base_model,
        "was trained on this very dataset with another target or group column, so that its training rows are among "
        "those that test here: name a network of another dataset",
    )


def _loaded(path: Path, base_model: str) -> tuple[Network, TableEncoder, dict[str, Any]]:
    try:
        network, table, about = load(saved_in(path))
    except ValueError as error:
        raise _unsuitable(base_model, f"cannot be read: {error}") from error
    whole = all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())
    if (
        not whole
        or not isinstance(about.get("classes"), list | None)
        or not all(isinstance(n, str) for n in table.names)
    ):
        raise _unsuitable(base_model, "is damaged: its files are not what a training here writes; train it again")
    return network, table, about


def _order(about: dict[str, Any], problem: Problem) -> list[int] | None:
    """Which of the base model's outputs is which of this problem's; None where they answer other questions.

    Questions are the same where the target columns are called the same and have the same classes: labels alone, such
    as 0 and 1, say nothing.
    """
    theirs, ours = about.get("classes"), problem.classes
    if _plain(about.get("target_column")) != _plain(problem.target_column):
        return None
    if theirs is None and ours is None:
        return [0]
    if not theirs or not ours or sorted(map(str, theirs)) != sorted(map(str, ours)):
        return None
    return [list(map(str, theirs)).index(str(label)) for label in ours]


def _plain(name: Any) -> str:
    return str(name).strip().casefold()


def _linear(network: Network, places: list[int], order: list[int], n_columns: int) -> Linear:
    """The base model's linear path for the new columns; those it does not know have no weight."""
    weight = np.zeros((len(order), n_columns))
    found = np.array(places) >= 0
    weight[:, np.array(places)[found]] = network.weight.double().numpy()[order][:, found]
    return Linear(weight, network.bias.double().numpy()[order], float("nan"))


def _innermost(name: str, arguments: dict[str, Any]) -> str:
    while name == "aligned":
        arguments = arguments["inner"]
        name = arguments["name"]
    return name


def _unsuitable(base_model: str, why: str) -> JobRefused:
    return JobRefused(ReasonCode.MODEL_UNSUITABLE, f"base_model «{base_model}» {why}")
