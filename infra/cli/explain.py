"""`omniscope-ml explain`: which features moved a model, on which rows, how surely."""

from typing import Annotated

import typer

from infra.cli.client import Api, ApiClient
from infra.cli.console import Json
from infra.cli.errors import CliError, ExitCode
from infra.cli.models import find_model
from infra.cli.options import JobId, Timeout
from infra.cli.publishing import build, whoami
from infra.cli.runtime import load_settings
from infra.cli.sending import submit


def explain(
    model: Annotated[str, typer.Argument(help="The model's id or name, or how it begins.")],
    method: Annotated[str, typer.Option(help="shap or lime.")] = "shap",
    samples: Annotated[
        str | None, typer.Option(help="Rows of the dataset to explain, from 0, separated by commas: 0,17,4.")
    ] = None,
    num_samples: Annotated[
        int | None, typer.Option(help="How many test rows to explain, of every class some.  [default: 100]")
    ] = None,
    include_values: Annotated[
        bool, typer.Option("--include-values", help="Show and keep the explained rows' own values.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Start of the random numbers.  [default: 0]")] = None,
    timeout: Timeout = None,
    job_id: JobId = None,
    wait: Annotated[bool, typer.Option(help="Follow the job until it ends.")] = True,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Explain a model: what matters to it in general, and for each of some rows, with pictures."""
    from events.requests import ExplanationRequested

    settings = load_settings()
    with ApiClient(settings, api) as client:
        found = find_model(client, model)
    told = {
        "model_id": found["model_id"],
        "method": method,
        "sample_indices": rows(samples),
        "num_samples": num_samples,
        "include_values": include_values or None,
        "seed": seed,
        "timeout_s": timeout,
        "job_id": job_id,
        "created_by": whoami(),
    }
    submit(build(ExplanationRequested, told), watch=wait, as_json=as_json)


def rows(told: str | None) -> list[int] | None:
    """`0,17,4` → [0, 17, 4].

    Raises:
        CliError: it is no list of numbers.
    """
    if told is None:
        return None
    parts = [part.strip() for part in told.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise CliError(f"--samples {told}: say row numbers from 0, separated by commas", ExitCode.USAGE)
    return [int(part) for part in parts]
