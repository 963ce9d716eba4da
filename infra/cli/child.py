"""One child process of the supervisor: started, listened to, known ready, stopped."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from infra.lifeline import READY, READY_FD, die_with_parent

_LOG_BYTES = 20_000_000
_LONGEST_LINE = 65_536
_LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs until stopped. `grace_s`: how long it may take to stop."""

    name: str
    argv: tuple[str, ...]
    grace_s: float = 10.0

    @classmethod
    def of_ours(cls, name: str, *arguments: str, grace_s: float = 10.0) -> "Service":
        """A command of this program, whatever PATH says."""
        return cls(name, (sys.executable, "-m", "infra.cli", *arguments), grace_s)


class ServiceDied(Exception):
    """A child ended though nobody asked it to. The message names it, its last lines and its log."""

    def __init__(self, name: str, exit_code: int, last_lines: list[str], log_file: Path) -> None:
        told = "\n".join(f"  | {line}" for line in last_lines) or "  | (it said nothing)"
        how = f"was killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with code {exit_code}"
        super().__init__(f"the {name} {how}; its last words:\n{told}\nAll of them: {log_file}")
        self.name = name
        self.exit_code = exit_code


class Child:
    """A running service, in a process group of its own, so that Ctrl-C reaches the supervisor alone."""

    def __init__(self, service: Service, log_file: Path, hear: Callable[[str, str], None]) -> None:
        self.service = service
        self.log_file = log_file
        self.ready = asyncio.Event()
        self._hear = hear
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._process: asyncio.subprocess.Process
        self._listener: asyncio.Task[None]
        self.ended: asyncio.Task[int]

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self, environment: Mapping[str, str]) -> None:
        """Starts the process; `ready` is set when it says so, `ended` is done when it is gone."""
        reader, writer = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.service.argv,
                env={**environment, READY_FD: str(writer), "PYTHONUNBUFFERED": "1"},
                pass_fds=(writer,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        asyncio.get_running_loop().add_reader(reader, self._on_ready, reader)
        self._listener = asyncio.create_task(self._listen())
        self.ended = asyncio.create_task(self._wait())

    async def stop(self) -> bool:
        """Asks it to end, and kills it when its grace is over. Returns whether it ended by itself."""
        self.signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self.ended], timeout=self.service.grace_s)
        if not done:
            self.signal(signal.SIGKILL)
            await self.ended
        return bool(done)

    def signal(self, number: signal.Signals) -> None:
        """To the child alone: what it started is its own to stop, and dies with it if it cannot."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    def death(self) -> ServiceDied:
        return ServiceDied(self.service.name, self.ended.result(), list(self._last), self.log_file)

    def _on_ready(self, reader: int) -> None:
        if os.read(reader, len(READY)):
            self.ready.set()
        # Else it closed the pipe without a word; that it died is told by `ended`.
        asyncio.get_running_loop().remove_reader(reader)
        os.close(reader)

    async def _wait(self) -> int:
        code = await self._process.wait()
        # A grandchild may hold the pipe open for a moment longer than the child lives.
        await asyncio.wait([self._listener], timeout=1.0)
        self._listener.cancel()
        return code

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        handler = RotatingFileHandler(self.log_file, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
        pending = b""
        try:
            while chunk := await self._process.stdout.read(_LONGEST_LINE):
                *lines, pending = (pending + chunk).split(b"\n")
                if len(pending) > _LONGEST_LINE:
                    lines, pending = [*lines, pending], b""
                for line in lines:
                    self._take(line, handler)
        finally:
            if pending:
                self._take(pending, handler)
            handler.close()

    def _take(self, raw: bytes, handler: RotatingFileHandler) -> None:
        line = raw.decode(errors="replace").rstrip()
        handler.emit(logging.makeLogRecord({"msg": line}))
        self._last.append(line)
        self._hear(self.service.name, line)
