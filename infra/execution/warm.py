"""The warm server: `python -m infra.execution.warm FD`. Imports once what jobs need, then forks a guard for each.

Started by a host with a clean environment and one socket. It imports and does nothing else: code that *runs* in it
(a thread pool of OpenMP, a CUDA context) would hang or break every child. When the host is gone, it goes too.
"""

import gc
import json
import os
import select
import socket
import sys
import time
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel

from .guard import run_guard
from .processes import ChildWatch, adopt_orphans, kill_children

_DESCRIPTORS = 2
_LARGEST_CONFIG = 64 * 1024


class Ready(BaseModel):
    """Everything is imported (`error` is empty), or why not. More than one thread makes forking unsafe."""

    seconds: float
    threads: int
    error: str = ""


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    ready = _preload(json.loads(control.recv(_LARGEST_CONFIG)))
    control.send(ready.model_dump_json().encode())
    if not ready.error:
        _serve(control)


def _preload(modules: list[str]) -> Ready:
    began = time.monotonic()
    error = ""
    for name in modules:
        try:
            import_module(name)
        except Exception as raised:  # noqa: BLE001 - whatever a module raises at import, its name must be told
            error = f"{name} cannot be imported: {type(raised).__name__}: {raised}"
            break
    # The children share these pages as long as nobody writes to them, and the collector would.
    gc.collect()
    gc.freeze()
    return Ready(
        seconds=time.monotonic() - began, threads=len(list(Path("/proc/self/task").iterdir())), error=error[:2000]
    )


def _serve(control: socket.socket) -> None:
    adopt_orphans()  # of a guard that was killed
    watch = ChildWatch()
    guards: set[int] = set()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(watch, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if watch.fileno() in ready:
            guards -= watch.reap().keys()
            kill_children(spare=guards)
        if control.fileno() in ready:
            word, fds, _, _ = socket.recv_fds(control, 16, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            if not word:
                return
            guards.add(_fork_guard(control, watch, fds))


def _fork_guard(control: socket.socket, watch: ChildWatch, fds: list[int]) -> int:
    words, life = fds
    pid = os.fork()
    if pid == 0:
        try:
            watch.close()
            control.close()
            run_guard(socket.socket(fileno=words), socket.socket(fileno=life))
        finally:
            os._exit(1)
    for fd in fds:
        os.close(fd)
    return pid


if __name__ == "__main__":
    main()
