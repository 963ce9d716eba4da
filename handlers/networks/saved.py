"""A network in a folder: weights as safetensors, everything else as JSON. Reading it runs no code that it holds."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes

from .network import Network, build
from .table import TableEncoder

WEIGHTS, NETWORK, TABLE, ABOUT = "weights.safetensors", "network.json", "table.json", "about.json"


def save(folder: Path, network: Network, table: TableEncoder, about: dict[str, Any]) -> None:
    """Writes four files into `folder`, made if need be. `about`: JSON data, given back by `load`."""
    folder.mkdir(parents=True, exist_ok=True)
    # Copies: the format refuses tensors that share their memory.
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    # Its own way of writing files keeps them from everybody else on the machine.
    (folder / WEIGHTS).write_bytes(as_bytes(state))
    for name, told in ((NETWORK, network.arguments()), (TABLE, table.to_dict()), (ABOUT, about)):
        (folder / name).write_text(json.dumps(told, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def load(folder: Path) -> tuple[Network, TableEncoder, dict[str, Any]]:
    """What `save` was given: the network on the CPU, ready to predict. Touches no random state.

    Raises:
        ValueError: a file is missing, damaged, or no part of this network; the message names it.
    """
    arguments, about = _json(folder / NETWORK), _json(folder / ABOUT)
    network = _built(arguments)
    _fill(network, folder / WEIGHTS)
    try:
        table = TableEncoder.from_dict(_json(folder / TABLE))
    except ValueError as error:
        raise ValueError(f"{TABLE}: {error}") from error
    if len(table.names) != network.n_features:
        raise ValueError(f"{TABLE} makes {len(table.names)} columns, {NETWORK} takes {network.n_features}")
    return network, table, about


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON") from error
    if not isinstance(told, dict):
        raise ValueError(f"{path.name} holds no object")
    return told


def _built(arguments: dict[str, Any]) -> Network:
    try:
        # Its first weights are random, and are thrown away: nobody else's dice may be thrown for them.
        with torch.random.fork_rng(devices=[]):
            return build(arguments).eval()
    # torch tells of sizes that nobody has memory for in a RuntimeError.
    except (ValueError, KeyError, TypeError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise ValueError(f"{NETWORK} describes no network: {error}") from error


def _fill(network: Network, path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path.name} cannot be read: there is no such file")
    try:
        network.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not in the safetensors format, or damaged") from error
    except RuntimeError as error:
        raise ValueError(f"{path.name} holds the weights of another network than {NETWORK} describes") from error
