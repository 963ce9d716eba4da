"""The handler's way back to whoever waits: a few messages a second, however often it reports."""

import contextlib
import math
import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from .messages import CheckpointSaved, Progressed, to_line

#: Seconds between two progress messages of one job.
INTERVAL_S = 0.05
_LONGEST = 500
_MOST_METRICS = 200


class Reporter:
    """A `handlers.contract.Report` over a stream socket; any thread of the job may call it.

    The first report goes out at once. One that comes too soon waits, is replaced by the next, and goes out when
    its time has come or the job ends, so that the last is always told.
    """

    def __init__(self, words: socket.socket) -> None:
        self._words = words
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pending: Progressed | None = None
        self._timer: threading.Timer | None = None
        self._sent_at = -math.inf
        self._percent = 0.0
        self._stop = select.poll()
        self._stop.register(words, select.POLLIN)
        self._room = select.poll()
        self._room.register(words, select.POLLOUT)

    def __call__(
        self,
        percent: float,
        message: str,
        *,
        eta_s: float | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        if os.getpid() != self._pid:  # a process the handler forked: its lock and its timer are not there
            return
        with self._lock:
            self._percent = min(100.0, max(0.0, percent)) if math.isfinite(percent) else self._percent
            self._pending = Progressed.model_construct(
                percent=self._percent, message=message, eta_s=eta_s, metrics=dict(metrics or {})
            )
            self._tell_in_time()

    def _tell_in_time(self) -> None:
        wait = self._sent_at + INTERVAL_S - time.monotonic()
        if wait <= 0:
            self._flush()
        elif self._timer is None:
            self._timer = threading.Timer(wait, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def should_stop(self) -> bool:
        # A byte from the host, or its end; never read, so that every later call sees it too.
        return bool(self._stop.poll(0))

    def checkpoint(self) -> None:
        self.say(CheckpointSaved())

    def say(self, message: BaseModel) -> None:
        """Sends a message at once, after the report that still waits."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._flush(wait=True)
            self._send(message)

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            if self._pending is not None:  # and another may have gone out a moment ago
                self._tell_in_time()

    def _flush(self, wait: bool = False) -> None:
        """Sends what is pending; unless told to wait, only if the host keeps up: a slow reader slows no training."""
        if self._pending is not None and (wait or self._room.poll(0)):
            self._send(_presentable(self._pending))
            self._pending = None
            self._sent_at = time.monotonic()

    def _send(self, message: BaseModel) -> None:
        # A host that is gone needs no words: the guard is about to end us.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._words.sendall(to_line(message) + b"\n")


def _presentable(raw: Progressed) -> Progressed:
    """What a handler said, as JSON can hold it: no NaN, no infinity, no broken characters, no novel."""
    metrics = {printable(name)[:_LONGEST]: _finite(value) for name, value in raw.metrics.items()}
    told = [(name, value) for name, value in metrics.items() if value is not None]
    eta = _finite(raw.eta_s)
    return Progressed(
        percent=raw.percent,
        message=printable(raw.message)[:_LONGEST],
        eta_s=None if eta is None else max(0.0, eta),
        metrics=dict(told[:_MOST_METRICS]),
    )


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def printable(text: object) -> str:
    """Text that UTF-8 can hold."""
    return str(text).encode("utf-8", "replace").decode()
