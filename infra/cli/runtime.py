"""What every command stands on: settings, an event loop, signals, the program's own name."""

import asyncio
import shlex
import shutil
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from infra.settings import Settings

T = TypeVar("T")


def load_settings() -> "Settings":
    """The settings of this process.

    Raises:
        infra.settings.SettingsError: a variable makes no sense.
    """
    from infra.settings import load

    return load()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine to its end; Ctrl-C becomes KeyboardInterrupt."""
    return asyncio.run(main)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT, SIGTERM or SIGHUP sets. A second signal does what it does by default: it ends us."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def on_signal() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    return stop


def program() -> str:
    """How this person calls the program: `omniscope-ml`, or with its path where it is not on PATH."""
    script = Path(sys.executable).parent / "omniscope-ml"
    if shutil.which("omniscope-ml") or not script.exists():
        return "omniscope-ml"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
