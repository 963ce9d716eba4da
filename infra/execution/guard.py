"""The guard: one small process above each job that outlives it just long enough to leave nothing behind.

Single-threaded, forked from the warm server. It adopts whatever the job's processes orphan, keeps the job's log
in bounds, watches its memory, and ends the family when the job ends, when the host says so, or when the host is
gone. If the guard itself is killed, the kernel kills the job, and the warm server adopts and ends the rest.
"""

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

from pydantic import BaseModel

from .child import run_job
from .log import BoundedLog
from .messages import Task
from .processes import (
    ChildWatch,
    adopt_orphans,
    end_family,
    kernel_oom_kills,
    memory_exceeds,
)
from .wire import Hello, Obituary, receive_task

#: Seconds between two looks at the memory of a job that has a limit.
_LOOK_S = 0.05
_GIB = 1024**3


def run_guard(words: socket.socket, life: socket.socket) -> NoReturn:
    """Forks a job, waits for its task with it, tells its end over `life`, and ends this process."""
    code = 1
    try:
        os.setsid()
        adopt_orphans()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # only the host and kill -9 end a guard
        _watch_over(words, life)
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may return into the warm server's code
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _watch_over(words: socket.socket, life: socket.socket) -> None:
    output, job_output = os.pipe2(os.O_CLOEXEC)
    watch = ChildWatch()
    guard = os.getpid()
    job = os.fork()
    if job == 0:
        watch.close()
        life.close()
        os.close(output)
        run_job(words, job_output, guard)
    words.close()
    os.close(job_output)
    os.set_blocking(output, False)
    if task := _await_task(life, watch):
        _see_through(task, job, life, output, watch)
    end_family()


def _await_task(life: socket.socket, watch: ChildWatch) -> Task | None:
    """None: it will not come, or the child has died before it came."""
    poll = select.poll()
    poll.register(life, select.POLLIN)
    poll.register(watch, select.POLLIN)
    # Both: the child may have had the task and come to its end before we were woken. Then its end is to be told.
    return receive_task(life) if life.fileno() in dict(poll.poll()) else None


def _see_through(task: Task, job: int, life: socket.socket, output: int, watch: ChildWatch) -> None:
    log = BoundedLog(task.out_dir.parent / "log.txt")
    oom_kills = kernel_oom_kills()
    _tell(life, Hello(guard=os.getpid(), job=job))
    vigil = _Vigil(job, life, output, log, watch)
    vigil.keep(task.inputs.limits.memory_gb)
    ended = vigil.ended | end_family()
    while pump(output, log):
        pass
    exit_code = ended.get(job, -signal.SIGKILL)
    by_kernel = exit_code == -signal.SIGKILL and not vigil.killed and kernel_oom_kills() > oom_kills
    last_word = Obituary(
        exit_code=exit_code,
        killed=vigil.killed,
        out_of_memory=vigil.out_of_memory or by_kernel,
        log_tail=log.close(),
    )
    _tell(life, last_word)


def _tell(life: socket.socket, message: BaseModel) -> None:
    with suppress(OSError):  # the host is gone: the vigil will notice
        life.sendall(message.model_dump_json().encode() + b"\n")


class _Vigil:
    """Waits for the job's end, or for a reason to end it."""

    def __init__(self, job: int, life: socket.socket, output: int, log: BoundedLog, watch: ChildWatch) -> None:
        self._job, self._life, self._output, self._log, self._watch = job, life, output, log, watch
        self.ended: dict[int, int] = {}
        self.killed = False
        self.out_of_memory = False

    def keep(self, memory_gb: float | None) -> None:
        poll = select.poll()
        for source in (self._life, self._output, self._watch):
            poll.register(source, select.POLLIN)
        next_look = 0.0
        while self._job not in self.ended and not self.killed and not self.out_of_memory:
            ready = dict(poll.poll(None if memory_gb is None else _LOOK_S * 1000))
            if self._watch.fileno() in ready:
                self.ended |= self._watch.reap()
            if self._life.fileno() in ready:
                self.killed = self._job not in self.ended
            if self._output in ready and not pump(self._output, self._log):
                poll.unregister(self._output)  # the job has closed its output and may well work on
            if memory_gb is not None and time.monotonic() >= next_look:
                self.out_of_memory = memory_exceeds(os.getpid(), int(memory_gb * _GIB))
                next_look = time.monotonic() + _LOOK_S


def pump(output: int, log: BoundedLog) -> bool:
    """Moves what the job has printed into its log; False when there is no more now."""
    try:
        data = os.read(output, 65536)
    except BlockingIOError:
        return False
    log.write(data)
    return bool(data)
