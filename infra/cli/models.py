"""Models: the list, and one with its scores beside a baseline's."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient, Limit
from infra.cli.console import Json, ago, print_json, print_table, with_interval
from infra.cli.runtime import load_settings

if TYPE_CHECKING:
    from infra.settings import Settings


def models(
    model_id: Annotated[str | None, typer.Argument(help="Show this one; without it, list all.")] = None,
    limit: Limit = 20,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """List models, newest first, or show one model's results."""
    settings = load_settings()
    with ApiClient(settings, api) as client:
        if model_id is not None:
            results = client.results(model_id)
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
            model["dataset_id"],
            model["target_column"],
            f"{model['primary_metric']} {with_interval(model['metrics'], model['intervals'], model['primary_metric'])}",
            ago(model["created_at"]),
        )
        for model in found
    )
    print_table(("model", "name", "dataset", "target", "score", "made"), rows, if_empty="No models yet.")


def print_results(results: dict[str, Any], settings: "Settings") -> None:
    """A model for a person: every score with its interval beside the baseline's, and where its files are."""
    baseline = results["baseline"]
    typer.echo(f"\n{results['model_name']}  ({results['model_type']}, {results['problem_type']})")
    typer.echo(f"trained on {results['n_train']} rows, scored on {results['n_test']} that it never saw\n")
    rows = (
        (
            f"{name} *" if name == results["primary_metric"] else name,
            with_interval(results["metrics"], results["intervals"], name),
            with_interval(baseline["metrics"], baseline["intervals"], name),
        )
        for name in results["metrics"]
    )
    print_table(("on test rows", "model [95 % interval]", f"baseline: {baseline['name']}"), rows, if_empty="No scores.")
    typer.echo(f"\n* {verdict(results)}")
    for warning in results["warnings"]:
        typer.echo(f"! {warning}")
    typer.echo(f"model  {model_directory(results, settings)}")


def verdict(results: dict[str, Any]) -> str:
    """Whether the model was worth its while, in one sentence."""
    better = "better" if results["baseline"]["beaten"] else "NOT better"
    return f"compared by {results['primary_metric']}: {better} than the baseline"


def model_directory(results: dict[str, Any], settings: "Settings") -> str:
    """Where the MLflow model directory is: a path on this machine, or an address in the object store."""
    where = f"{settings.artifacts.rstrip('/')}/{results['artifacts_path'].strip('/')}"
    return where if "://" in where else str(Path(where).absolute())
