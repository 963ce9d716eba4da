"""Handlers that keep the ledger while they work, and the module through which a job's process finds them.

A job's environment is clean, so where the ledger lies cannot be told by a variable: it is written into a module.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from . import ledger

#: Stands in a folder on the import path of the soak's workers.
MODULE = "soak_recorded"

_SOURCE = """\
from pathlib import Path

from soak.recorded import recorded

LEDGER = Path({ledger!r})
noop = recorded("handlers.noop", LEDGER)
automl = recorded("handlers.automl.handler", LEDGER)
"""


def write_module(folder: Path, ledger_file: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"{MODULE}.py").write_text(_SOURCE.format(ledger=str(ledger_file)))


def recorded(module: str, ledger_file: Path) -> Callable[..., Any]:
    """The handler `run` of `module`, entered into the ledger while it runs."""

    def run(request: Any, inputs: Any, out: Any, report: Any) -> Any:
        # …/<job_id>/<attempt>/out
        attempt = int(out.directory.parent.name)
        with ledger.entered(ledger_file, request.job_id, attempt):
            return import_module(module).run(request, inputs, out, report)

    return run
