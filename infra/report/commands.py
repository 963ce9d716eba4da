"""What a reader can type: to use the model, and to make it again."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What `submit automl` has an option for; anything else goes as JSON.
_OPTIONS = {
    "dataset_id": "--dataset",
    "target_column": "--target",
    "group_column": "--group",
    "problem_type": "--problem-type",
    "eval_metric": "--eval-metric",
    "time_limit": "--time-limit",
    "quality": "--quality",
    "seed": "--seed",
}
_FLAGS = {"hyperparameter_tuning": "--tune"}
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
    me = place.program
    with_house = f"export DATA_DIR={shlex.quote(place.data_dir)}\n{me} up"
    found = [
        Snippet("In one terminal, start everything (Ctrl-C stops it)", with_house),
        Snippet(
            "In another: replay the recorded plan, without a clock, for the same numbers",
            f"export DATA_DIR={shlex.quote(place.data_dir)}\n{me} rerun {shlex.quote(results['model_id'])}",
        ),
    ]
    asked = request(results, me)
    if asked:
        found.append(Snippet("Or ask for the same search anew (a time limit may cut it elsewhere)", asked))
    return found


def request(results: Mapping[str, Any], program: str) -> str:
    """The `submit` that asks for this model; empty where it would be longer than anybody reads."""
    asked = {
        name: value
        for name, value in results["training_config"].items()
        if name not in _NOT_SENT and value is not None and value is not False and not _nothing_told(value)
    }
    if results["model_type"] == "automl" and set(asked) <= {*_OPTIONS, *_FLAGS}:
        told = [f"{option} {shlex.quote(str(asked[name]))}" for name, option in _OPTIONS.items() if name in asked]
        told += [flag for name, flag in _FLAGS.items() if name in asked]
        return f"{program} submit automl {' '.join(told)} --watch"
    kind = results["model_type"].replace("_", "-")
    body = json.dumps(asked, ensure_ascii=False)
    return f"{program} submit - --kind {kind} --watch <<'END'\n{body}\nEND" if len(body) <= _LONGEST else ""


def _nothing_told(value: object) -> bool:
    """`resources` with every field left to the worker."""
    return isinstance(value, dict) and all(inner is None for inner in value.values())
