"""A running job as its host sees it: two sockets that turn into messages. Nothing here waits, except for `wait`."""

import os
import select
import signal
import socket
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from events.errors import ReasonCode

from .messages import FINAL, Crashed, Failed, Killed, Task, from_line
from .wire import KILL, RECEIVED, STOP, Hello, Obituary, send_task


class HostedJob:
    """`words` comes from the job, `life` from its guard. `read` until `ended`, then `close`."""

    def __init__(self, words: socket.socket, life: socket.socket) -> None:
        for sock in (words, life):
            sock.setblocking(False)
        self._words = _Lines(words)
        self._life = _Lines(life)
        self._hello: Hello | None = None
        self._lines: list[bytes] = []
        self._obituary: Obituary | None = None
        self._last_word: Any = None
        self._told_to_end = False
        self.ended = False

    @property
    def open_sockets(self) -> list[socket.socket]:
        """What to wait for: one that is at its end would be ready for ever."""
        return [lines.socket for lines in (self._words, self._life) if not lines.at_end]

    def assign(self, task: Task, timeout_s: float) -> bool:
        """Hands over the task and waits until guard and job have it; False: one is not there, and nothing runs."""
        try:
            send_task(task, self._life.socket, self._words.socket)
        except OSError:
            return False
        # A job that crashes from here on has crashed of itself.
        return self._first_lines(timeout_s)

    def _first_lines(self, timeout_s: float) -> bool:
        while not (self._hello and self._lines):
            # A quick job may have come to its end before its guard says hello.
            job_lost = self._words.at_end and not self._lines
            if job_lost or self._life.at_end or not self._poll(timeout_s):
                return False
            self._heed_guard()
            self._lines += self._words.read()
        return self._lines.pop(0) == RECEIVED

    def _heed_guard(self) -> None:
        for line in self._life.read():
            if self._hello is None:
                self._hello = Hello.model_validate_json(line)
            else:
                self._obituary = Obituary.model_validate_json(line)

    def read(self) -> list[Any]:
        """Every message that has come by now. The last one of all is a final one, and then `ended` is set."""
        if self.ended:
            return []
        # In this order: when the guard says that all is over, the job has no more to say.
        self._heed_guard()
        lines, self._lines = self._lines + self._words.read(), []
        messages = [m for m in map(self._understood, lines) if m is not None]
        if self._obituary is not None or (self._life.at_end and self._words.at_end):
            self.ended = True
            messages.append(self._verdict())
        elif self._life.at_end:
            # The guard was killed. The kernel kills the job; this is for those of its group, and for good measure.
            self._kill_group()
        return messages

    def _understood(self, line: bytes) -> Any:
        if self._last_word is not None:
            return None
        try:
            message = from_line(line)
        except ValidationError:
            message = Failed(
                reason=ReasonCode.HANDLER_ERROR.value, message="the job's process sent something that is no message"
            )
        if isinstance(message, FINAL):
            self._last_word = message  # told only when all of the job's processes are gone
            return None
        return message

    def _verdict(self) -> Any:
        end = self._obituary
        if end.killed if end else (self._told_to_end and self._last_word is None):
            return Killed()
        if self._last_word is None:
            return Crashed(
                exit_code=end.exit_code if end else -signal.SIGKILL,
                out_of_memory=end is not None and end.out_of_memory,
                detail=end.log_tail if end else "",
            )
        if isinstance(self._last_word, Failed) and end is not None and end.log_tail:
            detail = f"{self._last_word.detail}\nThe last lines of its log:\n{end.log_tail}".strip()
            return self._last_word.model_copy(update={"detail": detail})
        return self._last_word

    def wait(self, timeout_s: float | None = None) -> bool:
        """Blocks until `read` has something new; False: nothing came in time."""
        return bool(self._lines or self._obituary) or self._poll(timeout_s)

    def _poll(self, timeout_s: float | None) -> bool:
        poll = select.poll()
        for sock in self.open_sockets:
            poll.register(sock, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def stop_softly(self) -> None:
        with suppress(OSError):  # it ended meanwhile
            self._words.socket.send(STOP)

    def kill(self) -> None:
        """Tells the guard to end everything. `read` tells when that is done."""
        self._told_to_end = True
        with suppress(OSError):
            self._life.socket.send(KILL)

    @property
    def guard_lost(self) -> bool:
        """The guard was killed and could not tell the end."""
        return self._life.at_end and self._obituary is None

    def kill_guard(self) -> None:
        """For a guard that does not obey, because somebody has stopped it: the kernel ends the job with it."""
        if self._hello is not None and not self._life.at_end and not self.ended:
            with suppress(ProcessLookupError):
                os.kill(self._hello.guard, signal.SIGKILL)

    def _kill_group(self) -> None:
        if self._hello is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._hello.job, signal.SIGKILL)

    def give_up(self) -> Any:
        """Ends the waiting for a job whose guard and warm server were both killed; the final message, if it is due."""
        if self.ended:
            return None
        self.ended = True
        return self._verdict()

    def close(self) -> None:
        """Lets go of the job. One that still runs is ended by its guard."""
        self._words.socket.close()
        self._life.socket.close()


class _Lines:
    """Whole lines from a socket that is never waited for."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.at_end = False
        self._rest = bytearray()

    def read(self, at_most: int = 256) -> list[bytes]:
        """The lines that are there; `at_most` chunks, so that a talkative job does not hold a loop."""
        whole = False
        for _ in range(at_most):
            try:
                chunk = self.socket.recv(65536)
            except BlockingIOError:
                break
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                self.at_end = True
                break
            self._rest += chunk
            whole = whole or b"\n" in chunk
        if not whole:  # a long line comes in many chunks: search each only once
            return []
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        return [bytes(line) for line in lines]
