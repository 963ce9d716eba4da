"""Runs tasks on this machine: the asyncio face of a host.

Everything that waits happens in one thread of the executor's own (starting the server, forking), or by the loop
itself (messages arrive as readiness of a socket): no job, and no other user of threads, holds up another.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from .executor import ExecutorError
from .host import Host
from .hosted import HostedJob
from .messages import FINAL, CheckpointSaved, Progressed, Task

_log = structlog.get_logger(__name__)

#: Seconds a guard has to end its job before it is killed itself, and then the kernel to end the rest.
_OBEY_S = 2.0
_GONE_S = 3.0
#: Unread messages above which a newer one of the same kind replaces the last.
_MOST_UNREAD = 100


class LocalRun:
    """A job in a process of this machine. See `executor.Run`."""

    def __init__(self, job: HostedJob, on_end: Callable[["LocalRun"], None]) -> None:
        self._job = job
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._unread: deque[Any] = deque()
        self._final: Any = None
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._watched = job.open_sockets
        for sock in self._watched:
            self._loop.add_reader(sock, self._read)
        # What came with the guard's first word makes no socket ready again.
        self._loop.call_soon(self._read)

    async def messages(self) -> AsyncIterator[Any]:
        """What is unread, then what comes, then the final message; that one again for every later reader."""
        while True:
            while self._unread:
                yield self._unread.popleft()
            if self._final is not None:
                yield self._final
                return
            self._news.clear()
            await self._news.wait()

    def stop_softly(self) -> None:
        if self._final is None:
            self._job.stop_softly()

    async def kill(self) -> None:
        if self._final is not None:
            return
        self._job.kill()
        try:
            async with asyncio.timeout(_OBEY_S):
                await self._ended.wait()
        except TimeoutError:
            self._job.kill_guard()
            await self._ended.wait()

    def _read(self) -> None:
        if self._final is not None:
            return
        for message in self._job.read():
            self._take(message)
        for sock in set(self._watched) - set(self._job.open_sockets):
            self._loop.remove_reader(sock)
            self._watched.remove(sock)
        if self._final is None and self._job.guard_lost:
            self._loop.call_later(_GONE_S, self._give_up)

    def _take(self, message: Any) -> None:
        if isinstance(message, FINAL):
            self._end(message)
        elif len(self._unread) >= _MOST_UNREAD and _supersedes(message, self._unread[-1]):
            self._unread[-1] = message
        else:
            self._unread.append(message)
        self._news.set()

    def _give_up(self) -> None:
        if self._final is None:
            self._take(self._job.give_up())

    def _end(self, final: Any) -> None:
        self._final = final
        for sock in self._watched:
            self._loop.remove_reader(sock)
        self._watched = []
        self._job.close()
        self._ended.set()
        self._on_end(self)


def _supersedes(new: Any, old: Any) -> bool:
    return type(new) is type(old) and isinstance(new, Progressed | CheckpointSaved)


class LocalExecutor:
    """Runs each task in a fresh process forked from one warm server. See `executor.Executor`.

    `preload`: modules imported once, before any job. `path`: folders to import handlers from, beside our own.
    """

    def __init__(self, preload: tuple[str, ...] = (), path: Sequence[Path] = ()) -> None:
        self._host = Host(preload, path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="execution")
        self._warming: asyncio.Task[None] | None = None
        self._runs: set[LocalRun] = set()
        self._undoing: set[asyncio.Task[None]] = set()

    @property
    def warm_pid(self) -> int | None:
        """The warm server's process, once it is started."""
        return self._host.server_pid

    async def start(self) -> None:
        """Begins to warm up and returns at once. What goes wrong is logged, and raised by the next `submit`."""
        self._warming = asyncio.create_task(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            await self.warm()
        except ExecutorError as error:
            _log.error("execution.cannot_warm_up", error=str(error))

    async def warm(self) -> None:
        """Returns when the warm server has imported everything.

        Raises:
            ExecutorError: naming the module that cannot be imported.
        """
        ready = await asyncio.get_running_loop().run_in_executor(self._thread, self._host.start)
        self._thread.submit(self._host.prepare)
        if ready.threads > 1:
            _log.warning("execution.preload_started_threads", threads=ready.threads)

    async def submit(self, task: Task) -> LocalRun:
        """Starts the task; waits for the warm server first.

        Raises:
            ExecutorError: for no fault of the task: try again.
        """
        try:
            launching = asyncio.get_running_loop().run_in_executor(self._thread, self._host.launch, task)
            self._thread.submit(self._host.prepare)  # in this order: the next job finds its process
        except RuntimeError as error:
            raise ExecutorError("the executor is stopped") from error
        try:
            job = await asyncio.shield(launching)
        except asyncio.CancelledError:
            # It will be forked all the same, and whoever clears up behind it must not meet it.
            undoing = asyncio.create_task(self._undo(launching))
            self._undoing.add(undoing)
            undoing.add_done_callback(self._undoing.discard)
            await asyncio.wait([undoing], timeout=_OBEY_S + _GONE_S)
            raise
        return self._run_of(job)

    async def _undo(self, launching: asyncio.Future[HostedJob]) -> None:
        """Ends a job that nobody waits for any more; one that could not be started needs no end."""
        with suppress(ExecutorError):
            await self._run_of(await launching).kill()

    def _run_of(self, job: HostedJob) -> LocalRun:
        run = LocalRun(job, self._runs.discard)
        self._runs.add(run)
        return run

    async def stop(self) -> None:
        """Kills what still runs and lets go of everything. A warm-up in progress is broken off."""
        await asyncio.gather(*(run.kill() for run in list(self._runs)))
        self._host.interrupt()
        await asyncio.gather(*self._undoing)
        if self._warming is not None:
            await self._warming
        await asyncio.get_running_loop().run_in_executor(self._thread, self._host.stop)
        self._thread.shutdown(wait=False)
