"""From cohort to cohort: an encoder that an earlier job trained, for the columns of a new dataset."""

from pathlib import Path
from typing import Any

import torch

from events.errors import ReasonCode
from handlers.contract import Inputs, JobRefused
from handlers.datasets.problem import Problem
from handlers.networks.aligned import Aligned
from handlers.networks.network import Network
from handlers.networks.saved import load
from handlers.networks.table import TableEncoder
from handlers.networks_artifact import saved_in

from .genes import align, require_enough
from .starts import Start

_NETWORKS = ("deep_learning", "transfer_learning")


def cohort_start(model_id: str, base_model: str, inputs: Inputs, table: TableEncoder, problem: Problem) -> Start:
    """The encoder of model `model_id`, its features found among the columns of `table` by name.

    Where both tell the same classes, its head goes along: what it says is not unlearned.

    Raises:
        JobRefused: `model_unsuitable`.
    """
    files = inputs.models[model_id]
    if files.facts.get("model_type") not in _NETWORKS:
        raise _unsuitable(base_model, f"is of the type {files.facts.get('model_type')}: name a network's")
    network, its_table, about = _loaded(files.path, base_model)
    alignment = align(its_table.names, table.names)
    require_enough(alignment, base_model)
    encoder = Aligned.around(network.encoder, alignment.numbers(), len(table.names))
    head = _head(network, about, problem)
    told = alignment.sentences()
    if head is not None:
        told = [*told, "The base model tells the same classes: its head is trained further"]
    return Start(encoder, head, f"{base_model} ({_innermost(network.encoder.name, network.encoder.arguments)})", told)


def _loaded(path: Path, base_model: str) -> tuple[Network, TableEncoder, dict[str, Any]]:
    try:
        return load(saved_in(path))
    except ValueError as error:
        raise _unsuitable(base_model, f"cannot be read: {error}") from error


def _head(network: Network, about: dict[str, Any], problem: Problem) -> dict[str, torch.Tensor] | None:
    """The base model's head in the order of this problem's classes; None where the classes are others."""
    theirs, ours = about.get("classes"), problem.classes
    if not theirs or not ours or sorted(map(str, theirs)) != sorted(map(str, ours)):
        return None
    order = torch.tensor([list(map(str, theirs)).index(str(label)) for label in ours])
    return {name: value[order] for name, value in network.head.state_dict().items()}


def _innermost(name: str, arguments: dict[str, Any]) -> str:
    while name == "aligned":
        arguments = arguments["inner"]
        name = arguments["name"]
    return name


def _unsuitable(base_model: str, why: str) -> JobRefused:
    return JobRefused(ReasonCode.MODEL_UNSUITABLE, f"base_model «{base_model}» {why}")
