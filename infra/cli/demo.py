"""`omniscope-ml demo`: models of several kinds on real data, combined and explained, in a place of their own."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.acts import FOLDER, demo_acts, shown, wish_of
from infra.cli.client import api_address
from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.house import free_port
from infra.cli.runtime import load_settings, program

if TYPE_CHECKING:
    from infra.settings import Settings

#: What the demo decides for itself, whatever the environment says: it must not touch anybody's broker or tables.
_OWN = ("KAFKA_", "DATABASE_URL", "ARTIFACTS_URI", "MLFLOW_TRACKING_URI", "DATASET_ROOTS", "API_", "OMNISCOPE_")
_NOT_TO_BE_WIPED = "up.lock"


def demo(
    time_limit: Annotated[int, typer.Option(help="Seconds for the search among models.", min=5)] = 40,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' logs as well.")] = False,
) -> None:
    """Try it on real omics data, on an embedded broker of its own; ends by itself within 8 minutes."""
    from infra.cli.lock import only_one
    from infra.cli.own_house import in_own_house

    require("demo", "api", "worker")
    acts = demo_acts(time_limit)
    settings = own_settings(load_settings().data_dir)
    settings.make_data_dir()
    about = {"command": "demo", "api": api_address(settings), "broker": settings.bootstrap_servers}
    with only_one(settings.data_dir, about):
        empty(settings.data_dir)
        wishes = [wish_of(act, acts, settings.data_dir) for act in acts]
        work = [*dict.fromkeys(act.kind for act in acts), "explanation", "datasets"]
        trials = in_own_house(settings, wishes, work, verbose=verbose)
    first, file = acts[0], acts[0].file
    assert file is not None, "the first act has a file"
    use_the_model(settings, trials[0].results, file, first.asked["target_column"])
    typer.echo(farewell(settings, [wish.report for wish in wishes]))


def own_settings(data_dir: Path) -> "Settings":
    """Settings of the demo's own: a folder below the usual one, free ports, nothing of anybody else's."""
    for name in [name for name in os.environ if name.startswith(_OWN)]:
        if name not in ("OMNISCOPE_DEBUG",):
            del os.environ[name]
    os.environ |= {
        "DATA_DIR": str(data_dir / "demo"),
        "EMBEDDED_KAFKA_PORT": str(free_port()),
        "API_PORT": str(free_port()),
    }
    return load_settings()


def empty(folder: Path) -> None:
    """Removes what an earlier demo left, so that this one begins where a newcomer does."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _NOT_TO_BE_WIPED:
            path.unlink()


def use_the_model(settings: "Settings", results: dict[str, Any], file: Path, target: str) -> None:
    """Predicts a few rows in a process of its own, as a person's program would.

    Raises:
        CliError: it failed.
    """
    from infra.cli.models import model_directory

    script, model = FOLDER / "load_and_predict.py", model_directory(results, settings)
    typer.echo(
        "\nThe model is an MLflow directory: it predicts without anything of ours (here rows it partly learned from)."
    )
    typer.echo(f"$ python {shlex.join([shown(script), shown(Path(model)), shown(file), target])}")
    ran = subprocess.run([sys.executable, script, model, file, target], check=False)  # noqa: S603 - our own script
    if ran.returncode != ExitCode.OK:
        raise CliError(f"the demo stops here: the command above ended with exit code {ran.returncode}")


def farewell(settings: "Settings", reports: list[Path]) -> str:
    """What is left, and what to try next."""
    return (
        f"\nAll stopped. What is left is in {shown(settings.data_dir)}; in a browser read\n"
        + "".join(f"  {shown(report)}\n" for report in reports)
        + f"Now with a table of yours, of which one column is to be predicted:\n"
        f"  {program()} try YOUR.csv --target COLUMN"
    )
