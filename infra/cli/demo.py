"""`omniscope-ml demo`: everything once, on real data, by the very commands a person would type."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.client import api_address
from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.house import Ending, free_port, run_house
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from infra.settings import Settings

#: What the demo decides for itself, whatever the environment says: it must not touch anybody's broker or tables.
_OWN = ("KAFKA_", "DATABASE_URL", "ARTIFACTS_URI", "MLFLOW_TRACKING_URI", "DATASET_ROOTS", "API_", "OMNISCOPE_")
_FOLDER = Path(__file__).parents[2] / "demo"
_NOT_TO_BE_WIPED = "up.lock"


def demo(
    time_limit: Annotated[int, typer.Option(help="Seconds to train.", min=5)] = 40,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' logs as well.")] = False,
) -> None:
    """Train a model on real omics data, on an embedded broker of its own; ends by itself within 3 minutes."""
    from infra.cli.lock import only_one
    from infra.cli.up import printer

    require("demo", "api", "worker")
    data = demo_data()
    settings = own_settings(load_settings().data_dir)
    settings.make_data_dir()
    with only_one(settings.data_dir, {"api": api_address(settings), "broker": settings.bootstrap_servers}):
        empty(settings.data_dir)
        typer.echo(f"The demo runs on a broker and an API of its own; its data: {settings.data_dir}")
        typer.echo("Starting broker, projector, API and agent (about 10 seconds) …")
        ending = run(
            run_house(settings, ["automl", "datasets"], printer(not verbose), lambda: tell(settings, data, time_limit))
        )
    if ending is not Ending.TOLD:
        raise typer.Exit(ExitCode.INTERRUPTED)
    typer.echo(farewell(settings))


def demo_data() -> dict[str, str]:
    """What the demo learns from: `demo/demo.json` names file, id, target, title, source and licence.

    Raises:
        CliError: this is no source tree.
    """
    try:
        told: dict[str, str] = json.loads((_FOLDER / "demo.json").read_text("utf-8"))
    except FileNotFoundError:
        raise CliError(
            "the demo's data are in the source tree alone: clone the repository and run `make demo`"
        ) from None
    return {**told, "file": str(_FOLDER / told["file"])}


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


async def tell(settings: "Settings", data: dict[str, str], time_limit: int) -> None:
    """The story, step by step: each is a command, shown before it is run."""
    typer.echo(f"\n{data['title']}\n  source: {data['source']}\n  licence: {data['licence']}")
    await step(
        "Upload the data: a file in place, and an event that says so.",
        "dataset",
        "add",
        data["file"],
        "--id",
        data["dataset_id"],
    )
    await step(
        f"Ask for a model that predicts «{data['target']}», and watch.",
        *("submit", "automl", "--dataset", data["dataset_id"], "--target", data["target"]),
        *("--time-limit", str(time_limit), "--quality", "medium", "--watch"),
    )
    model = await asyncio.to_thread(only_model, settings)
    await script(
        "Load the model back with MLflow and predict (a few rows of the same table; most of them were learned from).",
        *("load_and_predict.py", model, data["file"], data["target"]),
    )


async def step(sentence: str, *arguments: str) -> None:
    """Runs one of our own commands as a person would.

    Raises:
        CliError: it failed.
    """
    await _run(sentence, f"{program()} {' '.join(arguments)}", "-m", "infra.cli", *arguments)


async def script(sentence: str, name: str, *arguments: str) -> None:
    """Runs a script of the demo folder in a process of its own, as a person's program would use the result."""
    await _run(sentence, f"python demo/{name} {' '.join(arguments)}", str(_FOLDER / name), *arguments)


async def _run(sentence: str, shown: str, *arguments: str) -> None:
    typer.echo(f"\n── {sentence}\n$ {shown}")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if code != ExitCode.OK:
        raise CliError(f"the demo stops here: the command above ended with exit code {code}")


def only_model(settings: "Settings") -> str:
    """Where the model that was just made lies."""
    from infra.cli.client import ApiClient
    from infra.cli.models import model_directory

    with ApiClient(settings) as client:
        newest = client.pages("/api/ml/models/list", 1)[0]
        return model_directory(client.results(newest["model_id"]), settings)


def farewell(settings: "Settings") -> str:
    """What is left, and what to try next."""
    me = program()
    return (
        f"\nThat was the whole way: upload → event → agent → model → tables → API. It is all stopped now.\n"
        f"  model   {Path(settings.artifacts) / 'models'}\n"
        f"  status  {settings.database}\n"
        f"  logs    {settings.data_dir / 'logs'}\n"
        f"\nNow with your own data (a table with a header; one column is what you want to predict):\n"
        f"  {me} up                                             # in one terminal\n"
        f"  {me} dataset add YOUR.csv --id mine                 # in another\n"
        f"  {me} submit automl --dataset mine --target COLUMN --watch\n"
    )
