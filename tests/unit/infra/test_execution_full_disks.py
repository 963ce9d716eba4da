"""A full disk is known by what errors say, and where they say nothing, by a look at it."""

import errno
import sqlite3

import pytest

from events.errors import ReasonCode
from handlers.contract import JobRefused
from infra.execution.failures import as_failed
from infra.execution.full_disks import disk_ran_full


def led_to(error: Exception, cause: Exception | None = None, context: Exception | None = None) -> Exception:
    error.__cause__, error.__context__ = cause, context
    return error


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("std::ios_base: write failed: No space left on device"),
        led_to(RuntimeError("could not save"), cause=FULL),
        led_to(RuntimeError("while cleaning up"), context=led_to(ValueError("x"), context=FULL)),
        led_to(JobRefused(ReasonCode.TRAINING_FAILED, "no model could be trained"), cause=FULL),
        ExceptionGroup("several", [ValueError("x"), led_to(KeyError("y"), cause=FULL)]),
    ],
)
def test_whoever_says_so_and_however_deep(error, tmp_path):
    failed = as_failed(error, tmp_path)
    assert failed.infrastructure
    assert "no space is left on the worker's disk" in failed.message


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EACCES, "Permission denied"), OSError(errno.EFBIG, "File too large"), ValueError("bad"), KeyError()],
)
def test_everything_else_is_the_jobs_own(error, tmp_path):
    assert not as_failed(error, tmp_path).infrastructure
    assert not as_failed(error, tmp_path / "that-is-gone").infrastructure


def test_a_lack_of_memory_is_no_lack_of_disk():
    failed = as_failed(led_to(MemoryError(), context=FULL))
    assert (failed.reason, failed.infrastructure) == ("out_of_memory", False)


def test_errors_that_lead_to_each_other_are_looked_through_once():
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert not disk_ran_full(first)
