"""The job's own process: makes itself a quiet place, calls the handler once, says how it went, and is gone.

It knows no way back but messages over a socket. What it refuses here (network, core dumps) guards against
accidents. It is no sandbox: a handler is our own code, and hostile code would find its way around.
"""

import faulthandler
import os
import random
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import to_json

from handlers.contract import Outputs

from .failures import as_failed, refuse_import, refuse_request
from .full_disks import distrust_a_full_disk
from .messages import Started, Task
from .processes import end_with_parent
from .reporting import Reporter
from .results import as_finished
from .wire import RECEIVED, receive_task


def run_job(words: socket.socket, output: int, guard: int) -> NoReturn:
    """Waits for a task, does it in this freshly forked process, and ends it, whatever threads are left."""
    code = 0
    try:
        _come_of_age(guard, output)
        if task := receive_task(words):
            words.sendall(RECEIVED + b"\n")
            reporter = Reporter(words)
            reporter.say(_outcome(task, reporter))
    except BaseException:  # noqa: BLE001 - nothing may return into the guard's code
        sys.excepthook(*sys.exc_info())
        code = 70  # there was something to say and no way to say it
    _flush()
    os._exit(code)


def _outcome(task: Task, reporter: Reporter) -> Any:
    try:
        _settle(task)
        run = _resolve(task.entry)
        request = _request(task)
        outputs = Outputs(task.out_dir, task.keep_dir)
        reporter.say(Started(pid=os.getpid()))
        result = run(request, task.inputs, outputs, reporter)
        distrust_a_full_disk(task.out_dir)
        return as_finished(result)
    except BaseException as error:  # noqa: BLE001 - a handler that calls sys.exit() has an outcome too
        return as_failed(error, task.out_dir)


def _come_of_age(guard: int, output: int) -> None:
    os.setsid()
    end_with_parent(guard)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # 1 and not 0: it forbids core files and, unlike 0, dumps piped to a collector (see core(5)).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    with suppress(OSError):  # the kernel, short of memory, shall choose the job and not the agent
        Path("/proc/self/oom_score_adj").write_text("500")
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    # The server's streams remember that they were no pipe.
    sys.stdout, sys.stderr = (open(fd, "w", 1, "utf-8", "backslashreplace", closefd=False) for fd in (1, 2))  # noqa: SIM115
    faulthandler.enable()


def _settle(task: Task) -> None:
    """Directories, seeds, threads, devices: everything a handler may take for granted."""
    os.chdir(task.out_dir)
    _refuse_network()
    cpus = task.inputs.limits.cpus
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(cpus)
    if not task.inputs.limits.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if cpus > 1 and "threadpoolctl" in sys.modules:  # what is loaded already has read the server's «1»
        sys.modules["threadpoolctl"].threadpool_limits(cpus)
    # Every child of one server would draw the same numbers; only what is imported has a state to set.
    random.seed(task.seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(task.seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(task.seed)
        sys.modules["torch"].set_num_threads(cpus)


def _refuse_network() -> None:
    for name in ("connect", "connect_ex", "bind"):
        setattr(socket.socket, name, _refusing(getattr(socket.socket, name)))


def _refusing(real: Any) -> Any:
    def call(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise PermissionError("a handler opens no network connection: it works with the files it is given")
        return real(self, address)

    return call


def _request(task: Task) -> Any:
    try:
        return _resolve(task.request_model).model_validate_json(to_json(task.request))
    except ValidationError as error:
        raise refuse_request(error) from None


def _resolve(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise refuse_import(name, error) from error


def _flush() -> None:
    """Empties Python's buffers, unless a thread that still prints holds them."""
    flusher = threading.Thread(target=lambda: [stream.flush() for stream in (sys.stdout, sys.stderr)], daemon=True)
    flusher.start()
    flusher.join(1.0)
