"""The noop does what it is told, and stops when it is asked to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from events.errors import ReasonCode
from events.requests import NoopRequested
from handlers import noop
from handlers.contract import Inputs, JobRefused, Outputs


class Reports:
    def __init__(self, stop_after: int | None = None) -> None:
        self.told: list[tuple[float, str]] = []
        self._stop_after = stop_after

    def __call__(self, percent: float, message: str, **more: object) -> None:
        self.told.append((percent, message))

    def should_stop(self) -> bool:
        return self._stop_after is not None and len(self.told) >= self._stop_after

    def checkpoint(self) -> None:
        raise AssertionError("a noop keeps nothing")


def run(reports: Reports, tmp_path: Path, **fields: object) -> object:
    request = NoopRequested.model_validate(fields)
    return noop.run(request, Inputs(), Outputs(tmp_path, tmp_path), reports)


def test_steps_are_reported_evenly(tmp_path: Path) -> None:
    reports = Reports()
    run(reports, tmp_path, steps=4)
    assert reports.told == [(25, "Step 1 of 4"), (50, "Step 2 of 4"), (75, "Step 3 of 4"), (100, "Step 4 of 4")]


def test_a_soft_stop_ends_it_early(tmp_path: Path) -> None:
    reports = Reports(stop_after=2)
    result = run(reports, tmp_path, steps=1000, duration_s=60.0)
    assert len(reports.told) == 2
    assert result.summary == "Stopped on request"  # type: ignore[attr-defined]


def test_it_fails_as_a_handler_fails(tmp_path: Path) -> None:
    with pytest.raises(JobRefused) as refused:
        run(Reports(), tmp_path, behaviour="fail")
    assert refused.value.reason is ReasonCode.TRAINING_FAILED


def test_it_raises_as_a_bug_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run(Reports(), tmp_path, behaviour="raise")


def test_it_leaves_a_living_grandchild_behind(tmp_path: Path) -> None:
    result = run(Reports(), tmp_path, behaviour="spawn")
    pid = result.record["grandchild_pid"]  # type: ignore[attr-defined]
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[0] == pid


PROGRAM = """
from pathlib import Path
from events.requests import NoopRequested
from handlers import noop
from handlers.contract import Inputs, Outputs
class Report:
    def __call__(self, *a, **k): pass
    def should_stop(self): print("asked", flush=True); return True
noop.run(NoopRequested(behaviour={behaviour!r}), Inputs(), Outputs(Path(), Path()), Report())
"""


def test_exit_takes_the_process_along() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(behaviour="exit")], timeout=60)
    assert done.returncode == noop.EXIT_CODE


def test_hang_listens_to_nobody() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(behaviour="hang")], stdout=subprocess.PIPE)
    try:
        begun = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=2)
        assert time.monotonic() - begun >= 2
    finally:
        process.kill()
        process.communicate()
