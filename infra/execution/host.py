"""The host: keeps a warm server and has it run tasks, each in a fresh process under a guard.

Blocking and free of asyncio: the local executor calls it from a thread, a Ray worker straight away.
Not thread-safe: one thread calls `start`, `launch` and `stop`.
"""

import json
import os
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
from .wire import task_file

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
        self._interrupted = threading.Event()

    @property
    def server_pid(self) -> int | None:
        return self._server.pid if self._server else None

    def start(self) -> Ready:
        """Starts the warm server unless it runs, and waits until everything is imported: seconds.

        Raises:
            ExecutorError: a module cannot be imported, or the server died.
        """
        if self._ready is not None and self._server is not None and self._server.poll() is None:
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
        """Forks a process for the task. Milliseconds once the server is warm.

        Raises:
            ExecutorError: for no fault of the task: no server, no process, no disk.
        """
        try:
            for directory in (task.out_dir, task.keep_dir):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ExecutorError(f"the job's directory cannot be made: {error}") from error
        for _ in range(2):  # a server found dead was killed by somebody; the second one is fresh
            self.start()
            try:
                if job := self._fork(task):
                    return job
            except OSError:
                pass
            self.stop()
        raise ExecutorError("the warm server dies when it is asked to fork: is this machine out of memory?")

    def _fork(self, task: Task) -> HostedJob | None:
        """None: the guard did not come to its post, so nothing ran."""
        assert self._control is not None
        words, their_words = socket.socketpair()
        life, their_life = socket.socketpair()
        job = HostedJob(words, life)
        fd = task_file(task)
        try:
            with their_words, their_life:
                socket.send_fds(self._control, [b"fork"], [fd, their_words.fileno(), their_life.fileno()])
            if job.greet(_FORK_S):
                return job
        except BaseException:
            job.close()
            raise
        finally:
            os.close(fd)
        job.close()
        return None

    def interrupt(self) -> None:
        """For good, and from any thread: kills the warm server; a `start` that waits for it raises, as every later."""
        self._interrupted.set()
        server = self._server
        if server is not None and server.returncode is None:
            server.kill()

    def stop(self) -> None:
        """Ends the warm server. Jobs run on: their guards hold to the sockets of their `HostedJob`."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        self._ready = None
