"""Datasets: adding a file, and the list."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient, Limit
from infra.cli.console import Json, ago, counted, print_json, print_table
from infra.cli.errors import CliError
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from events.requests import DatasetUploaded
    from infra.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Add a file to learn from.")


@app.callback()
def _group() -> None:
    """Keeps `add` a command of its own; typer would fold a lone one into its group."""


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet, Feather or AnnData (.h5ad).")],
    dataset_id: Annotated[
        str | None, typer.Option("--id", help="How to call it.  [default: from name and bytes]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.  [default: the file's]")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="csv, tsv, parquet, feather, h5ad.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is registered or rejected.")] = True,
    timeout: Annotated[float, typer.Option(help="How many seconds to wait.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Copy a file into the first dataset root and publish its upload."""
    from events.requests import DatasetUploaded
    from infra.cli.dataset_files import copy_into, look_at
    from infra.cli.publishing import build

    settings = load_settings()
    looked = look_at(file, file_format)
    told: dict[str, Any] = {"dataset_id": dataset_id or looked.default_id, "name": name or file.name}
    told |= {"format": looked.format, "sha256": looked.sha256, "uri": "to be copied"}
    build(DatasetUploaded, told)  # what is wrong with it is said before anything is copied
    settings.make_data_dir()
    upload = build(DatasetUploaded, {**told, "uri": copy_into(settings.roots[0], looked)})
    outcome = run(publish_upload(settings, upload, timeout if wait else None))
    if as_json:
        print_json(outcome)
    _tell(outcome, as_json)


async def publish_upload(settings: "Settings", upload: "DatasetUploaded", wait_s: float | None) -> dict[str, Any]:
    """What became of the upload, as far as that is heard within `wait_s`.

    `status` is uploaded (nothing was heard), registered or rejected; beside it the data of the event that says so.
    """
    from infra.cli.dataset_outcome import DatasetOutcomes
    from infra.cli.publishing import publisher

    published = {"dataset_id": upload.dataset_id, "uri": upload.uri, "status": "uploaded"}
    async with publisher(settings) as broker:
        if wait_s is None:
            await broker.request(upload)
            return published
        async with DatasetOutcomes(settings) as outcomes:
            await broker.request(upload)
            return await outcomes.of(upload, wait_s) or published


def _tell(outcome: dict[str, Any], as_json: bool) -> None:
    """The last word, and the exit code: rejected and not heard of are failures to whoever waited."""
    dataset_id = outcome["dataset_id"]
    if outcome["status"] == "rejected":
        error = outcome["error"]
        raise CliError(f"dataset {dataset_id} was rejected: {error['message']} ({error['reason']})")
    if as_json:
        return
    if outcome["status"] == "uploaded":
        typer.echo(f"dataset {dataset_id} is published; `{program()} datasets` tells when it is registered")
        return
    missing = f"{counted(outcome['n_missing'], 'cell')} missing" if outcome["n_missing"] else "nothing missing"
    typer.echo(
        f"dataset {dataset_id} is registered: {outcome['n_rows']:,} rows, {outcome['n_columns']:,} columns, "
        f"{missing}, {outcome['format']}"
    )
    typer.echo(f"next: {program()} submit automl --dataset {dataset_id} --target COLUMN --watch")


def list_datasets(
    status: Annotated[str | None, typer.Option(help="Only these: uploaded, registered, rejected.")] = None,
    limit: Limit = 20,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """List datasets, newest first."""
    with ApiClient(load_settings(), api) as client:
        found = client.pages("/api/ml/datasets", limit, status=status)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            dataset["dataset_id"],
            dataset["status"],
            "" if dataset["n_rows"] is None else f"{dataset['n_rows']:,} × {dataset['n_columns']:,}",
            ago(dataset["created_at"]),
            dataset["error"]["message"] if dataset["error"] else dataset["name"],
        )
        for dataset in found
    )
    print_table(("dataset", "status", "rows × columns", "added", ""), rows, if_empty="No datasets yet.")
