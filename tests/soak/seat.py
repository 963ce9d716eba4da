"""A seat: one service whose process is started again whenever it ends, as a supervisor in production does."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.lifeline import READY, READY_FD, die_with_parent

from .diary import Diary, End
from .ledger import boottime

_STOP_S = 40.0


class Seat:
    """`open` it, and there is a process until it is closed. Who ends it says before how soon the next one comes."""

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], log_dir: Path, diary: Diary
    ) -> None:
        self.name = name
        self._words = words
        self._environment = environment
        self._log = log_dir / f"{name}.log"
        self._diary = diary
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._asked = self._served = False
        self._pause_s = 1.0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process, if one is there."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set() and self.pid is not None

    async def ready(self) -> None:
        """Returns when a process of this seat has said that it serves."""
        while not self.is_ready:
            await self._ready.wait()
            if not self.is_ready:  # it ended, and nobody has noticed yet
                await asyncio.sleep(0.05)

    def open(self) -> None:
        self._keeping = asyncio.create_task(self._keep())

    def end(self, number: signal.Signals, next_after_s: float = 1.0) -> int:
        """Sends the process a signal that ends it; returns its pid. The next one comes by itself."""
        assert self._process is not None
        self._asked = True
        self._ready.clear()  # nobody hits it a second time
        self._pause_s = next_after_s
        self._process.send_signal(number)
        return self._process.pid

    async def gone(self, pid: int) -> None:
        """Returns when that process has ended."""
        while self.pid == pid:  # noqa: ASYNC110 - several may wait, for one of many processes
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Ends the process in order, and the seat."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        self._keeping = None
        if self.pid is None:
            return
        assert self._process is not None
        self._asked = True
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._note()

    async def _keep(self) -> None:
        while True:
            await self._run_one()
            await asyncio.sleep(self._pause_s)
            self._pause_s = 1.0

    async def _run_one(self) -> None:
        self._asked = self._served = False
        reading, writing = os.pipe()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *self._words),
                env={**self._environment, READY_FD: str(writing)},
                pass_fds=[writing],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),
            )
        os.close(writing)
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, self._heard, reading)
        try:
            await self._process.wait()
        finally:
            loop.remove_reader(reading)
            os.close(reading)
            self._ready.clear()
        self._note()

    def _heard(self, reading: int) -> None:
        if os.read(reading, 100) == READY:
            self._ready.set()
            self._served = True
        else:  # the end of the pipe would be readable for ever
            asyncio.get_running_loop().remove_reader(reading)

    def _note(self) -> None:
        process = self._process
        assert process is not None
        assert process.returncode is not None
        served = self._served
        self._diary.ends.append(End(self.name, process.pid, process.returncode, boottime(), self._asked, served))
