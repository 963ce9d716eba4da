"""Several services in one terminal: started in order, watched, stopped in the opposite order, none left behind."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.cli.child import Child, Service, ServiceDied

__all__ = ["Service", "ServiceDied", "Supervisor"]


class Supervisor:
    """Use it as an async context manager: leaving it stops what runs, last started first.

    Even `kill -9` of this process leaves nothing running, because the kernel then kills the children.

    Args:
        log_dir: gets `<name>.log` for each service.
        environment: what the services see.
        hear: is told every line (name of the service, line).
    """

    def __init__(self, log_dir: Path, environment: Mapping[str, str], hear: Callable[[str, str], None]) -> None:
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._hear = hear
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, *services: Service, timeout_s: float = 120.0) -> None:
        """Starts the services at the same time and returns when all are ready.

        Raises:
            ServiceDied: one ended instead.
            TimeoutError: one said nothing for `timeout_s`.
        """
        fresh = [Child(service, self._log_dir / f"{service.name}.log", self._hear) for service in services]
        for child in fresh:
            await child.start(self._environment)
            self._children.append(child)
        ready = asyncio.gather(*(child.ready.wait() for child in fresh))
        died = asyncio.create_task(self.wait())
        try:
            both: list[asyncio.Future[Any]] = [ready, died]
            await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if died.done():
                died.result()
            if not ready.done():
                late = ", ".join(child.service.name for child in fresh if not child.ready.is_set())
                raise TimeoutError(f"not ready after {timeout_s:g} s: {late}; the logs are in {self._log_dir}")
        finally:
            ready.cancel()
            died.cancel()
            await asyncio.gather(ready, died, return_exceptions=True)

    async def wait(self) -> None:
        """Returns never.

        Raises:
            ServiceDied: when the first service ends.
        """
        await asyncio.wait([child.ended for child in self._children], return_when=asyncio.FIRST_COMPLETED)
        raise next(child for child in self._children if child.ended.done()).death()

    async def stop(self) -> list[str]:
        """Stops all, last started first, each within its grace; returns the names of those that had to be killed."""
        killed = []
        while self._children:
            child = self._children[-1]  # it stays in the list while it stops, so that `kill` finds it
            if not child.ended.done() and not await child.stop():
                killed.append(child.service.name)
            self._hear("up", f"{child.service.name} stopped")
            self._children.remove(child)
        return killed

    def kill(self) -> None:
        """Ends all at once, without a word. What was unfinished is done again at the next start."""
        for child in self._children:
            child.signal(signal.SIGKILL)

    def pids(self) -> dict[str, int]:
        return {child.service.name: child.pid for child in self._children}
