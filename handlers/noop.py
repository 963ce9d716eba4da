"""Does nothing for a while, or misbehaves as it is asked to: for tests and benchmarks of all that is around it."""

import os
import sys
import time
from collections.abc import Callable

from events.errors import ReasonCode
from events.requests import NoopRequested

from .contract import Inputs, JobRefused, Outputs, Report, Result

EXIT_CODE = 3
_GRANDCHILD_S = 3600
#: A soft stop is noticed within this time, however long a step is.
_NAP_S = 0.02


def run(request: NoopRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Waits `duration_s` seconds, reports `steps` times on the way, then behaves as asked.

    Raises:
        JobRefused: `behaviour` is `fail`.
        RuntimeError: `behaviour` is `raise`.
    """
    if not _wait(request, report):
        return Result(summary="Stopped on request")
    return _ENDINGS[request.behaviour]()


def _wait(request: NoopRequested, report: Report) -> bool:
    """Whether the wait came to its end. A job that hangs listens to nobody."""
    steps = max(1, request.steps)
    begun = time.monotonic()
    for step in range(1, steps + 1):
        until = begun + request.duration_s * step / steps
        while (left := until - time.monotonic()) > 0:
            if request.behaviour != "hang" and report.should_stop():
                return False
            time.sleep(min(left, _NAP_S))
        if request.steps:
            eta_s = request.duration_s * (1 - step / steps)
            report(100 * step / steps, f"Step {step} of {steps}", eta_s=eta_s, metrics={"step": float(step)})
    return True


def _finish() -> Result:
    return Result(summary="Did nothing, successfully")


def _fail() -> Result:
    raise JobRefused(ReasonCode.TRAINING_FAILED, "the noop was asked to fail: send behaviour=finish")


def _raise() -> Result:
    raise RuntimeError("the noop was asked to raise")


def _exit() -> Result:
    os._exit(EXIT_CODE)


def _hang() -> Result:
    while True:
        time.sleep(3600)


def _spawn() -> Result:
    # A session of its own: only a guard that looks for orphans finds this process.
    words = [sys.executable, "-c", f"import time; time.sleep({_GRANDCHILD_S})"]
    pid = os.posix_spawn(sys.executable, words, os.environ, setsid=True)
    return Result(summary="Left a process behind", record={"grandchild_pid": pid})


_ENDINGS: dict[str, Callable[[], Result]] = {
    "finish": _finish,
    "fail": _fail,
    "raise": _raise,
    "exit": _exit,
    "hang": _hang,
    "spawn": _spawn,
}
