"""What the life of a job asks of whatever runs it: one small interface, the same for one machine and many."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from .messages import Task


class Run(Protocol):
    """One job in its process."""

    def messages(self) -> AsyncIterator[Any]:
        """The messages of `execution.messages` as they come. The last one, always, is a final one."""

    def stop_softly(self) -> None:
        """Asks the handler to finish with what it has. Returns at once."""

    async def kill(self) -> None:
        """Ends the process and everything it started; returns when all are gone."""


class Executor(Protocol):
    """Runs tasks, each in a fresh process. An infrastructure failure raises ExecutorError; a job's own is a message."""

    async def start(self) -> None: ...

    async def submit(self, task: Task) -> Run: ...

    async def stop(self) -> None:
        """Kills what still runs and lets go of everything."""


class ExecutorError(RuntimeError):
    """The task could not be run for no fault of its own: try again."""
