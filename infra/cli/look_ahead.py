"""What can be told before anything is started: whether the file can be learned from, and where the report goes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from events.requests import TrainingRequested
    from infra.cli.dataset_files import LocalFile

#: Up to here a file is read whole, which takes about a second; of a larger one the header is looked at.
_MOST_BYTES = 32_000_000


def refuse_early(request: "TrainingRequested", file: "LocalFile") -> None:
    """Asks the agent's own code what it would say, as far as that is quick. The agent has the last word.

    Raises:
        handlers.contract.JobRefused: it would refuse.
    """
    # Imported here: pandas takes half a second, and no other command of ours needs it.
    from handlers.contract import DatasetFile
    from handlers.datasets.columns import choose_columns
    from handlers.datasets.target import load_problem
    from handlers.datasets.text_tables import find_dialect

    if file.path.stat().st_size <= _MOST_BYTES:
        load_problem(request, DatasetFile(request.dataset_id, file.path, file.format, file.sha256, file.path.name))
    elif file.format in ("csv", "tsv"):
        choose_columns(request, find_dialect(file.path, "\t" if file.format == "tsv" else None).names, ())


def report_path(told: Path | None, file: Path, folder: Path) -> Path:
    """Where the report goes: as told (a folder takes it under its usual name), else `folder/<stem>-report.html`.

    An earlier report of ours is replaced; nothing else ever is.

    Raises:
        CliError: something else is there, or nothing can be written there.
    """
    from infra.report.rendering import is_ours

    usual = f"{_stem(file)}-report.html"
    path = (told if told is not None else folder / usual).absolute()
    if path.is_dir():
        path = path / usual
    if not path.parent.is_dir():
        raise CliError(f"the report cannot go to {path}: make the folder {path.parent} first", ExitCode.USAGE)
    if path.exists() and not (path.is_file() and is_ours(path)):
        raise CliError(
            f"{path} is there and is no report of ours: name another place with --report, or move it away",
            ExitCode.USAGE,
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CliError(f"{path.parent} is not writable: name another place with --report", ExitCode.USAGE)
    return path


def _stem(file: Path) -> str:
    """`cells` for cells.csv and cells.csv.gz, `a.b` for a.b.csv."""
    return Path(file.stem).stem if file.suffix.lower() == ".gz" else file.stem
