"""The host: keeps a warm server and has it run tasks, each in a fresh process under a guard.

Blocking and free of asyncio: the local executor calls it from a thread, a Ray worker straight away.
Not thread-safe: one thread calls `start`, `launch` and `stop`.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from .environment import clean_environment
from .executor import ExecutorError
from .hosted import HostedJob
from .messages import Task
from .warm import Ready

#: Seconds within which a warm server must have forked a guard. It takes milliseconds.
_FORK_S = 30.0


class Host:
    """`preload`: modules imported once, before any job. `path`: folders to import handlers from, beside our own."""

    def __init__(self, preload: Sequence[str] = (), path: Sequence[Path] = ()) -> None:
        self._preload = list(preload)
        self._environment = clean_environment(path)
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: Ready | None = None
        self._spare: HostedJob | None = None
        self._interrupted = threading.Event()

    @property
    def server_pid(self) -> int | None:
        return self._server.pid if self._server else None

    def start(self) -> Ready:
        """Starts the warm server unless it runs, and waits until everything is imported: seconds.

        Raises:
            ExecutorError: a module cannot be imported, or the server died.
        """
        if self._ready is not None and self._is_warm():
            return self._ready
        self.stop()
        if self._interrupted.is_set():
            raise ExecutorError("the executor is stopped")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-P", "-m", "infra.execution.warm", str(theirs.fileno())],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C in a terminal is for the agent, which then decides
            )
        if self._interrupted.is_set():  # while the process was made
            self._server.kill()
        self._ready = self._first_word(self._control, self._server)
        return self._ready

    def _first_word(self, control: socket.socket, server: subprocess.Popen[bytes]) -> Ready:
        try:
            control.send(json.dumps(self._preload).encode())
            word = control.recv(65536)
        except OSError:
            word = b""
        ready = Ready.model_validate_json(word) if word else None
        if ready is None or ready.error:
            code = server.wait()
            raise ExecutorError(
                f"the warm server cannot start: {ready.error}" if ready else f"the warm server died (exit code {code})"
            )
        return ready

    def launch(self, task: Task) -> HostedJob:
        """Runs the task in a process of its own. Milliseconds once the server is warm.

        Raises:
            ExecutorError: for no fault of the task: no server, no process, no disk.
        """
        try:
            for directory in (task.out_dir, task.keep_dir):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for _ in range(3):  # a spare process found dead, then a server: somebody killed them, and these are fresh
                self.start()
                spare, self._spare = self._spare, None
                job = spare or self._fork()
                if job is not None and job.assign(task, _FORK_S):
                    return job
                if job is not None:
                    job.close()
                if spare is None:  # a dying server closes its socket some time before it can be waited for
                    self.stop()
        except OSError as error:  # no room, no permission, no descriptors
            raise ExecutorError(f"{task.task_id} cannot be started: {error}") from error
        raise ExecutorError("processes die as soon as they are forked: is this machine out of memory?")

    def prepare(self) -> None:
        """Forks a process for the next task, so that its job need not wait for that."""
        if self._spare is None and self._is_warm():
            self._spare = self._fork()

    def _is_warm(self) -> bool:
        return self._ready is not None and self._server is not None and self._server.poll() is None

    def _fork(self) -> HostedJob | None:
        """None: the server has died."""
        assert self._control is not None
        words, their_words = socket.socketpair()
        life, their_life = socket.socketpair()
        with their_words, their_life:
            try:
                socket.send_fds(self._control, [b"fork"], [their_words.fileno(), their_life.fileno()])
            except OSError:
                words.close()
                life.close()
                return None
        return HostedJob(words, life)

    def interrupt(self) -> None:
        """For good, and from any thread: kills the warm server; a `start` that waits for it raises, as every later."""
        self._interrupted.set()
        server = self._server
        if server is not None and server.returncode is None:
            server.kill()

    def stop(self) -> None:
        """Ends the warm server. Jobs run on: their guards hold to the sockets of their `HostedJob`."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        self._ready = None
