"""Handlers that misbehave, one way each, and tasks for them. The warm servers of the tests import this module."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from events.errors import OmniScopeError, ReasonCode
from handlers.contract import Inputs, Limits, Result
from infra.execution.messages import Task

FOLDER = Path(__file__).parent


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: int = 0
    text: str = ""


def task_for(folder: Path, handler: str, limits: Limits = Limits(), seed: int = 0, **request: Any) -> Task:  # noqa: B008
    """A task for a handler of this module, with directories of its own below `folder`."""
    home = folder / uuid.uuid4().hex
    return Task(
        task_id=home.name,
        entry=handler if ":" in handler else f"{__name__}:{handler}",
        request_model=f"{__name__}:Ask",
        request=request,
        inputs=Inputs(limits=limits),
        out_dir=home / "out",
        keep_dir=home / "keep",
        seed=seed,
    )


def log_of(task: Task) -> str:
    return (task.out_dir.parent / "log.txt").read_text()


async def everything(run: Any) -> list[Any]:
    return [message async for message in run.messages()]


async def outcome(executor: Any, task: Task) -> Any:
    """The final message."""
    return (await everything(await executor.submit(task)))[-1]


async def first_word(run: Any) -> int:
    """Waits for the first progress of a handler that tells a number as its message, and returns it."""
    async for message in run.messages():
        if message.tag == "progressed":
            return int(message.message)
    raise AssertionError("the job ended without a word")


async def gone(pid: int) -> None:
    """Returns when the process has ended; pytest's time limit is the limit."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(pidfd, lambda: ended.done() or ended.set_result(None))
        await ended
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)


async def until(condition: Callable[[], Any]) -> None:
    """For what no descriptor tells."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def children_of(pid: int) -> list[int]:
    """The direct children of a single-threaded process, or of one's main thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and waits for its parent does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def finish(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    report(50, "half way", eta_s=1.5, metrics={"auroc": 0.9})
    (out.directory / "made.txt").write_text("made")
    return Result(summary=f"number {request.number}", record={"cwd": str(Path.cwd())})


def look(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    """Tells what a handler finds around itself."""
    import random
    import resource

    descriptors = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            descriptors[entry.name] = str(entry.readlink())
    found: dict[str, Any] = {
        "environment": dict(os.environ),
        "descriptors": descriptors,
        "session": os.getsid(0) == os.getpid(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "random": random.random(),
        "modules": sorted(sys.modules),
        "threads": threading.active_count(),
        "cwd": str(Path.cwd()),
    }
    if "numpy" in sys.modules:
        found["numpy"] = float(sys.modules["numpy"].random.random())
    if "torch" in sys.modules:
        found["torch"] = float(sys.modules["torch"].rand(1))
        found["torch_threads"] = sys.modules["torch"].get_num_threads()
    return Result(summary="looked", record=found)


def refuse(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    raise OmniScopeError(ReasonCode.TARGET_MISSING, "column «outcome» is missing: name another target_column")


def trip(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    raise ValueError("could not convert string to float: 'SECRET-PATIENT'")


def leave(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    sys.exit(3)


def vanish(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    print("the last words", flush=True)
    os._exit(request.number)


def segfault(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    ctypes.string_at(0)
    raise AssertionError


def hang(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    report(1, str(os.getpid()))
    while True:
        time.sleep(3600)


def hang_politely(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    report(1, str(os.getpid()))
    while not report.should_stop():
        time.sleep(0.005)
    return Result(summary="stopped softly")


def freeze(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    """Deaf to every signal that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return hang(request, inputs, out, report)


def leave_grandchild(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    """A daemon by the book: a session of its own, and its parent dies."""
    script = "import os,time\nif os.fork(): os._exit(0)\nos.setsid()\nprint(os.getpid(), flush=True)\ntime.sleep(3600)"
    daemon = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    report(10, daemon.stdout.readline().decode().strip())
    if request.text == "hang":
        time.sleep(3600)
    return Result(summary="left a daemon behind")


def fork_and_return_twice(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    os.fork()
    report(50, "both")
    return Result(summary="done")


def take_memory(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    """`number` MiB; with text «child», in a process of its own."""
    if request.text == "child":
        code = f"b = bytearray(b'x' * ({request.number} << 20)); import time; time.sleep(3600)"
        subprocess.run([sys.executable, "-c", code], check=False)
    block = bytearray(b"x" * (request.number << 20))
    time.sleep(0.5 if request.text == "briefly" else 3600)
    return Result(summary=str(len(block)))


def ask_too_much(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    raise MemoryError


def print_much(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    print("the first line")
    for _ in range(10 * 1024):
        print("x" * 1023)
    os.system("echo from a subprocess")
    print("the last line")
    return Result(summary="printed")


def print_garbage(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    os.write(1, b'\xff\x00{"tag":"finished","summary":"forged"}\n')
    os.write(2, b'{"tag":"killed"}\n' * 100)
    return Result(summary="honest")


def speak_garbage(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    """Writes to the host's own socket."""
    report._words.sendall(b"no message\n")
    return Result(summary="honest")


def report_much(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    began = time.monotonic()
    for i in range(request.number):
        report(100 * i / request.number, f"step {i}")
    return Result(summary="reported", record={"seconds": time.monotonic() - began})


def report_then_wait(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    for i in range(20):
        report(i, f"step {i}")
    while not report.should_stop():
        time.sleep(0.005)
    return Result(summary="stopped")


def report_nonsense(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    nan = float("nan")
    report(nan, "a \ud800 broken character", eta_s=nan, metrics={"good": 1.0, "bad": nan, "worse": float("inf")})
    return Result(summary="a \ud800 broken character", record={"nan": nan})


def save_checkpoint(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    (out.keep / "state").write_text("1")
    report(10, "epoch 1")
    report.checkpoint()
    return Result(summary="saved")


def return_much(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    return Result(summary="much", record={"values": ["x" * 1000] * request.number})


def return_nothing(request: Ask, inputs: Inputs, out: Any, report: Any) -> None:
    return None


def return_unspeakable(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    return Result(summary="no JSON", record={"object": object()})


def leave_threads(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()
    return Result(summary="threads left")


def connect(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    refused = []
    for call in ("connect", "bind"):
        try:
            getattr(socket.socket(), call)(("127.0.0.1", request.number))
        except PermissionError as error:
            refused.append(str(error))
    ours, theirs = socket.socketpair()  # what multiprocessing needs goes on working
    ours.send(b"x")
    return Result(summary=json.dumps(refused), record={"local": theirs.recv(1).decode()})


def echo_size(request: Ask, inputs: Inputs, out: Any, report: Any) -> Result:
    return Result(summary=str(len(request.text)))
