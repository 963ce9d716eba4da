"""Models: the list, and one with its scores beside a baseline's."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient, Limit
from infra.cli.console import Json, ago, print_json, print_table, with_interval
from infra.cli.errors import CliError, ExitCode
from infra.cli.runtime import load_settings

if TYPE_CHECKING:
    from infra.settings import Settings


_SHORTEST_PREFIX = 6
#: An architecture in a list.
_LONGEST = 32
#: The newest so many are searched for a name.
_SEARCHED = 1000


def models(
    model_id: Annotated[
        str | None, typer.Argument(help="Show this one: its id or name, or how it begins. Without it, list all.")
    ] = None,
    limit: Limit = 20,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """List models, newest first, or show one model's results."""
    settings = load_settings()
    with ApiClient(settings, api) as client:
        if model_id is not None:
            results = find_model(client, model_id)
            print_json(results) if as_json else print_results(results, settings)
            return
        found = client.pages("/api/ml/models/list", limit)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            model["model_id"],
            model["model_name"],
            _made_of(model),
            model["dataset_id"],
            model["target_column"],
            f"{model['primary_metric']} {with_interval(model['metrics'], model['intervals'], model['primary_metric'])}",
            ago(model["created_at"]),
        )
        for model in found
    )
    print_table(("model", "name", "what", "dataset", "target", "score", "made"), rows, if_empty="No models yet.")


def from_scratch(results: dict[str, Any]) -> dict[str, Any]:
    """What the same network without its base model scored on the same test rows; empty where none was trained."""
    told = (results.get("plan") or {}).get("from_scratch")
    return told if isinstance(told, dict) else {}


def _made_of(model: dict[str, Any]) -> str:
    """`automl`, or a network's architecture, in a word or two for a list."""
    # An older API does not tell; of a base model's id the beginning is enough.
    told = re.sub(r"(job:[^-\s]{8})[\w.-]+", r"\1", str(model.get("architecture") or ""))
    if model["model_type"] == "automl" or not told:
        return str(model["model_type"])
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"


def print_results(results: dict[str, Any], settings: "Settings") -> None:
    """A model for a person: every score with its interval beside the baseline's, and where its files are."""
    baseline = results["baseline"]
    known = [] if results["model_type"] == "automl" else [results["architecture"]]
    kind = (results["model_type"], *known, results["problem_type"])
    typer.echo(f"\n{results['model_name']}  ({', '.join(kind)})")
    typer.echo(f"{rows_told(results)}\n")
    scratch = from_scratch(results)
    rows = (
        (
            f"{name} *" if name == results["primary_metric"] else name,
            with_interval(results["metrics"], results["intervals"], name),
            with_interval(baseline["metrics"], baseline["intervals"], name),
            *([with_interval(scratch["metrics"], scratch["intervals"], name)] if scratch else []),
        )
        for name in results["metrics"]
    )
    columns = ("on test rows", "model [95 % interval]", f"baseline: {baseline['name']}")
    print_table((*columns, "from scratch") if scratch else columns, rows, if_empty="No scores.")
    typer.echo(f"\n* {verdict(results)}")
    for warning in results["warnings"]:
        typer.echo(f"! {warning}")
    typer.echo(f"model  {model_directory(results, settings)}")


def find_model(client: ApiClient, told: str) -> dict[str, Any]:
    """The results of the model with this id, this name, or the only one whose id or name begins so.

    Raises:
        CliError: none is called so, or several are.
    """
    if not told.strip():
        raise CliError("name a model: its id or name, or how it begins", ExitCode.USAGE)
    try:
        return client.results(told)
    except CliError as error:
        if error.code is not ExitCode.NOT_FOUND:
            raise
        found = _called(told, client.pages("/api/ml/models/list", _SEARCHED))
        if not found:
            raise
    if len(found) > 1:
        shown = ", ".join(model["model_id"] for model in found[:5])
        raise CliError(f"{len(found)} models are called or begin with {told!r}: say which ({shown})", ExitCode.USAGE)
    return client.results(found[0]["model_id"])


def _called(told: str, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named = [model for model in listed if model["model_name"] == told]
    if named or len(told) < _SHORTEST_PREFIX:
        return named
    return [model for model in listed if model["model_id"].startswith(told) or model["model_name"].startswith(told)]


def rows_told(results: dict[str, Any]) -> str:
    """What became of the rows: every one of them is accounted for."""
    aside = results.get("n_combination", 0)  # an older API does not tell
    kept = f", {aside} kept aside for combining models" if aside else ""
    return f"trained on {results['n_train']} rows, scored on {results['n_test']} that it never saw{kept}"


def verdict(results: dict[str, Any]) -> str:
    """Whether the model was worth its while, in one sentence."""
    from infra.report.verdict import verdict as judged

    return f"compared by {results['primary_metric']}: {judged(results).headline.lower()}"


def model_directory(results: dict[str, Any], settings: "Settings") -> str:
    """Where the MLflow model directory is: a path on this machine, or an address in the object store."""
    where = f"{settings.artifacts.rstrip('/')}/{results['artifacts_path'].strip('/')}"
    return where if "://" in where else str(Path(where).absolute())
