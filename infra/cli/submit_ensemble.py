"""Submitting an ensemble: finished models combined into one."""

from typing import Annotated

import typer

from infra.cli.client import Api, ApiClient
from infra.cli.errors import CliError, ExitCode
from infra.cli.models import find_model
from infra.cli.options import Asking, spread
from infra.cli.publishing import build, whoami
from infra.cli.runtime import load_settings
from infra.cli.sending import submit


@spread
def ensemble(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…", help="Two or more of one dataset and target: ids or names, or how they begin."
        ),
    ],
    *,
    method: Annotated[str, typer.Option(help="voting, stacking or blending.")] = "blending",
    weights: Annotated[
        str | None, typer.Option(help="Of a vote, in the order of the models: 2,1,1.  [default: all alike]")
    ] = None,
    voting: Annotated[
        str | None, typer.Option(help="soft (probabilities) or hard (one vote each).  [default: soft]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Start of the random numbers.  [default: 0]")] = None,
    api: Api = None,
    asking: Asking,
) -> None:
    """Combine finished models into one, and see whether that is better than the best of them."""
    from events.requests import EnsembleRequested

    if len(models) < 2:
        raise CliError("name two or more models to combine (omniscope-ml models lists them)", ExitCode.USAGE)
    with ApiClient(load_settings(), api) as client:
        model_ids = [find_model(client, model)["model_id"] for model in models]
    own = {"model_ids": model_ids, "method": method, "weights": numbers(weights), "voting": voting, "seed": seed}
    told = {**own, **asking.told(), "created_by": whoami()}
    submit(build(EnsembleRequested, told), watch=asking.watch, as_json=asking.as_json)


def numbers(told: str | None) -> list[float] | None:
    """`2,1,1` → [2, 1, 1].

    Raises:
        CliError: it is no list of numbers.
    """
    if told is None:
        return None
    try:
        return [float(part) for part in told.split(",")]
    except ValueError:
        raise CliError(f"--weights {told}: say numbers above 0, separated by commas", ExitCode.USAGE) from None
