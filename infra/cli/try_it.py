"""`omniscope-ml try`: a person's own file, from nothing running to a report, in one command."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import ApiClient, api_address
from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from infra.cli.lock import AlreadyRuns
    from infra.cli.trial import Wish
    from infra.settings import Settings

#: What the agent of a house of our own works on.
_WORK = ["automl", "explanation", "datasets"]
#: What can be done without.
_BETTER_WITH = "explanation"
#: A house that is just starting answers within this time.
_READY_S = 60.0
_EVERY_S = 0.4


def try_it(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet, Feather or AnnData (.h5ad).")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    group: Annotated[str | None, typer.Option(help="Rows that share this column's value stay together.")] = None,
    exclude: Annotated[
        str | None, typer.Option(help="Columns not to learn from, separated by commas, or @FILE with one a line.")
    ] = None,
    problem_type: Annotated[
        str | None, typer.Option(help="classification or regression.  [default: by target]")
    ] = None,
    time_limit: Annotated[int, typer.Option(help="Seconds to train.", min=5)] = 60,
    quality: Annotated[str | None, typer.Option(help="medium, good, high or best.  [default: good]")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="csv, tsv, parquet, feather, h5ad.")] = None,
    report: Annotated[Path | None, typer.Option(help="The report's place.  [default: ./<file>-report.html]")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' logs as well.")] = False,
) -> None:
    """Train a model on a file of yours and write a report: starts what is needed, and ends by itself."""
    require("try", "api", "worker")
    settings = load_settings()
    told = {
        "target_column": target,
        "group_column": group,
        "problem_type": problem_type,
        "time_limit": time_limit,
        "quality": quality,
    }
    wish = wish_for(file, told, file_format=file_format, exclude=exclude, report=report)
    settings.make_data_dir()
    carry_out(settings, wish, verbose=verbose)


def wish_for(
    file: Path,
    told: Mapping[str, Any],
    *,
    file_format: str | None = None,
    exclude: str | None = None,
    report: Path | None = None,
    kind: str = "automl",
) -> "Wish":
    """What is asked for (`told`: fields of the request), checked as far as that is possible before anything runs.

    Args:
        kind: of training, as `submit` calls it.

    Raises:
        CliError: the file is not there, an option makes no sense, or the report has no place to go.
        handlers.contract.JobRefused: the file cannot be learned from in this way.
    """
    from infra.cli.dataset_files import look_at
    from infra.cli.look_ahead import refuse_early, report_path
    from infra.cli.options import columns
    from infra.cli.publishing import whoami
    from infra.cli.submit import request_of
    from infra.cli.trial import Wish

    looked = look_at(file, file_format)
    place = report_path(report, file, Path.cwd())
    also = {"dataset_id": looked.default_id, "exclude_columns": columns(exclude), "created_by": whoami()}
    request = request_of(kind, {**told, **also})
    refuse_early(request, looked)
    return Wish(looked, request, place)


def carry_out(settings: "Settings", wish: "Wish", *, verbose: bool) -> None:
    """Trains and reports, in the house that runs on this data directory, else in one of our own.

    Raises:
        CliError: it did not work out.
        typer.Exit: somebody asked to stop.
    """
    from infra.cli.addresses import with_free_ports
    from infra.cli.lock import AlreadyRuns, only_one
    from infra.cli.own_house import in_own_house

    own = with_free_ports(settings)
    about = {"command": "try", "api": api_address(own), "broker": own.bootstrap_servers}
    with ExitStack() as held:
        try:
            held.enter_context(only_one(settings.data_dir, about))
        except AlreadyRuns as other:
            in_running_house(settings, wish, other)
        else:
            in_own_house(own, [wish], _WORK, verbose=verbose)


def in_running_house(settings: "Settings", wish: "Wish", other: "AlreadyRuns") -> None:
    """Uses what `up` runs on this data directory, and leaves it running.

    Raises:
        CliError: it is no `up`, does not answer, or does not work on what is needed.
    """
    from infra.cli.addresses import settings_of
    from infra.cli.trial import Trial

    if other.about.get("command") != "up":
        raise other
    found, process = settings_of(settings, other.about), f"process {other.about['pid']}"
    lacking = [name for name in _WORK if name not in other.about.get("work", _WORK)]
    is_explained = _BETTER_WITH not in lacking
    if not is_explained:
        lacking.remove(_BETTER_WITH)
        typer.echo(f"! {process} does not work on explanations: there will be none (start it without --kinds)")
    if lacking and found.embedded_broker:
        raise CliError(
            f"the running `up` ({process}) does not work on {' and '.join(lacking)}: start it without --kinds"
        )
    typer.echo(f"Using the `up` that runs on {found.data_dir} ({process}).")
    trial = Trial(found, wish, is_explained=is_explained)
    try:
        _until_ready(found)
        run(trial.run())
    except KeyboardInterrupt:
        later = f"; its job goes on: {program()} watch {trial.job_id}" if trial.is_under_way else ""
        raise CliError(f"stopped: there is no report{later}", ExitCode.INTERRUPTED) from None


def _until_ready(settings: "Settings") -> None:
    """Returns when the API answers: the house may have been started a moment ago."""
    until = time.monotonic() + _READY_S
    with ApiClient(settings) as client:
        while True:
            try:
                client.get("/readyz")
                return
            except CliError as error:
                if error.code is not ExitCode.UNREACHABLE or time.monotonic() >= until:
                    raise
                time.sleep(_EVERY_S)
