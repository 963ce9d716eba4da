"""What a reader can type: to use the model, and to make it again."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What the commands to submit have an option for; anything else goes as JSON.
_OPTIONS = {
    "dataset_id": "--dataset",
    "target_column": "--target",
    "group_column": "--group",
    "problem_type": "--problem-type",
    "eval_metric": "--eval-metric",
    "time_limit": "--time-limit",
    "quality": "--quality",
    "base_model": "--base-model",
    "fine_tune_layers": "--fine-tune-layers",
    "weights": "--weights",
    "architecture": "--architecture",
    "input_shape": "--input-shape",
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "seed": "--seed",
}
_FLAGS = {"hyperparameter_tuning": "--tune"}
#: Kinds with a command of their own.
_COMMANDS = ("automl", "deep_learning", "transfer_learning")
#: Whose request it is, and what is no part of what was asked for.
_NOT_SENT = ("job_id", "created_by", "name", "rerun_of")
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are for the reader.

    Attributes:
        model: the MLflow model directory: a path, or an address in an object store.
        data_dir: what DATA_DIR must be for the commands.
        program: how this person calls the program.
        tracking_uri: what MLFLOW_TRACKING_URI must be for the registry.
    """

    model: str
    data_dir: str
    program: str = "omniscope-ml"
    tracking_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Snippet:
    """Something to copy, and when to use it."""

    title: str
    text: str


def loading(results: Mapping[str, Any], place: Place) -> list[Snippet]:
    """How to use the model: from its directory, and by its name where it is registered."""
    path = place.model
    found = [
        Snippet(
            "In Python, from its directory",
            "import mlflow.pyfunc, pandas\n\n"
            f"model = mlflow.pyfunc.load_model({path!r})\n"
            "print(model.predict(pandas.read_csv('new_rows.csv')))",
        )
    ]
    if "://" not in path:
        found.append(
            Snippet(
                "In another environment: what it was made with, first",
                f"pip install -r {shlex.quote(f'{path}/requirements.txt')}",
            )
        )
    name = results.get("registered_name")
    if name:
        telling = (
            f"import os\n\nos.environ['MLFLOW_TRACKING_URI'] = {place.tracking_uri!r}\n" if place.tracking_uri else ""
        )
        found.append(
            Snippet(
                "From the registry: the best of its kind so far, by validation score",
                f"{telling}import mlflow.pyfunc\n\nmodel = mlflow.pyfunc.load_model({f'models:/{name}@challenger'!r})",
            )
        )
    return found


def again(results: Mapping[str, Any], place: Place) -> list[Snippet]:
    """How to get the same numbers, and how to ask for the same thing anew."""
    me, searched = place.program, results["model_type"] == "automl"
    with_house = f"export DATA_DIR={shlex.quote(place.data_dir)}\n{me} up"
    how = (
        "replay the recorded plan, without a clock, for the same numbers"
        if searched
        else ("train it again and compare every number, to the last digit")
    )
    found = [
        Snippet("In one terminal, start everything (Ctrl-C stops it)", with_house),
        Snippet(
            f"In another: {how}",
            f"export DATA_DIR={shlex.quote(place.data_dir)}\n{me} rerun {shlex.quote(results['model_id'])}",
        ),
    ]
    asked = request(results, me)
    if asked:
        anew = "for the same search anew (a time limit may cut it elsewhere)" if searched else "in your own words"
        found.append(Snippet(f"Or ask {anew}", asked))
    return found


def request(results: Mapping[str, Any], program: str) -> str:
    """The `submit` that asks for this model; empty where it would be longer than anybody reads."""
    asked = {
        name: value
        for name, value in results["training_config"].items()
        if name not in _NOT_SENT and value is not None and value is not False and not _nothing_told(value)
    }
    kind = results["model_type"].replace("_", "-")
    if results["model_type"] in _COMMANDS and set(asked) <= {*_OPTIONS, *_FLAGS}:
        told = [f"{option} {shlex.quote(_typed(asked[name]))}" for name, option in _OPTIONS.items() if name in asked]
        told += [flag for name, flag in _FLAGS.items() if name in asked]
        return f"{program} submit {kind} {' '.join(told)} --watch"
    body = json.dumps(asked, ensure_ascii=False)
    return f"{program} submit - --kind {kind} --watch <<'END'\n{body}\nEND" if len(body) <= _LONGEST else ""


def _typed(value: object) -> str:
    """As the command line takes it: a shape is 6x100."""
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _nothing_told(value: object) -> bool:
    """`resources` with every field left to the worker."""
    return isinstance(value, dict) and all(inner is None for inner in value.values())
